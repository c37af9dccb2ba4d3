//! Where a page of entries begins, as an opaque text: signed, and of use for the list alone that it came with.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use proto::error::{ApiError, ErrorCode};
use sha2::Sha256;
use uuid::Uuid;

use crate::store::{ListQuery, Page, Position};

const FORMAT: u8 = 2;
const OLDER: u8 = 0;
const NEWER: u8 = 1;
const BYTES: usize = 30;
/// Of the HMAC, which is cut: guessing 128 bits is hopeless, and texts in addresses should be short.
const TAG_BYTES: usize = 16;

/// Makes and reads the cursors of one list.
pub(crate) struct Cursors {
    mac: Hmac<Sha256>,
}

impl Cursors {
    /// Those of a list, whichever page of it and however long. All processes have the same `key`.
    pub(crate) fn new(key: &[u8], query: &ListQuery) -> Self {
        // HMAC takes keys of any length; the error is of ciphers that do not.
        let mac = Hmac::new_from_slice(key).unwrap_or_else(|_| Hmac::new(&Default::default()));
        let mut cursors = Self { mac };
        cursors.add(query.instance.as_bytes());
        cursors.add(query.event_type.as_deref().unwrap_or_default().as_bytes());
        let status = query.status.map_or(0, |status| 1 + status as i64);
        let is_test = query.is_test.map_or(0, |is_test| 1 + i64::from(is_test));
        let numbers = [query.webhook_id, Some(status), Some(is_test), query.from, query.to];
        for number in numbers {
            cursors.add(number.map_or_else(Vec::new, |number| number.to_be_bytes().to_vec()).as_slice());
        }
        cursors
    }

    /// With its length, so that no two lists are the same bytes.
    fn add(&mut self, bytes: &[u8]) {
        self.mac.update(&(bytes.len() as u64).to_be_bytes());
        self.mac.update(bytes);
    }

    /// For the entries older than `position`.
    pub(crate) fn older_than(&self, position: Position) -> String {
        self.encode(OLDER, position)
    }

    /// For the entries newer than `position`.
    pub(crate) fn newer_than(&self, position: Position) -> String {
        self.encode(NEWER, position)
    }

    fn encode(&self, direction: u8, position: Position) -> String {
        let mut bytes = Vec::with_capacity(BYTES + TAG_BYTES);
        bytes.extend([FORMAT, direction]);
        bytes.extend(position.time.to_be_bytes());
        bytes.extend(position.delivery_id.as_bytes());
        bytes.extend(position.number.to_be_bytes());
        let tag = self.mac.clone().chain_update(&bytes).finalize().into_bytes();
        bytes.extend(&tag[..TAG_BYTES]);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The page that a text stands for; the newest for an empty one.
    ///
    /// # Errors
    /// A text that was not made here, or was for another list.
    pub(crate) fn page(&self, cursor: &str) -> Result<Page, ApiError> {
        if cursor.is_empty() {
            return Ok(Page::Newest);
        }
        self.decode(cursor).ok_or_else(|| {
            let text = "must be one from an earlier answer to the same list, with the same filters; leave it out to start \
                        with the newest entries";
            ApiError {
                code: ErrorCode::Malformed,
                message: format!("cursor: {text}"),
                fields: vec![("cursor".to_owned(), text.to_owned())],
            }
        })
    }

    fn decode(&self, cursor: &str) -> Option<Page> {
        let bytes: [u8; BYTES + TAG_BYTES] = URL_SAFE_NO_PAD.decode(cursor).ok()?.try_into().ok()?;
        let (bytes, tag) = bytes.split_at(BYTES);
        self.mac.clone().chain_update(bytes).verify_truncated_left(tag).ok()?;
        let (head, rest) = bytes.split_first_chunk::<2>()?;
        let (time, rest) = rest.split_first_chunk()?;
        let (delivery_id, rest) = rest.split_first_chunk()?;
        let position = Position {
            time: i64::from_be_bytes(*time),
            delivery_id: Uuid::from_bytes(*delivery_id),
            number: i32::from_be_bytes(rest.try_into().ok()?),
        };
        match head {
            [FORMAT, OLDER] => Some(Page::OlderThan(position)),
            [FORMAT, NEWER] => Some(Page::NewerThan(position)),
            _ => None,
        }
    }
}

/// The newest entries of a webhook.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn example() -> ListQuery {
    ListQuery {
        instance: "acme".to_owned(),
        webhook_id: Some(7),
        projects: None,
        status: None,
        event_type: None,
        from: None,
        to: None,
        is_test: None,
        sight: crate::store::Sight { from: 0, now: 0 },
        page: Page::Newest,
        limit: 15,
    }
}

#[cfg(test)]
mod tests {
    use super::{example as list, *};
    use crate::model::Status;

    fn cursors() -> Cursors {
        Cursors::new(&[7; 32], &list())
    }

    #[test]
    fn cursors_survive_and_anything_else_is_refused() {
        let cursors = cursors();
        let position = Position { time: -5, delivery_id: Uuid::from_u128(7), number: 3 };
        assert_eq!(cursors.page(&cursors.older_than(position)), Ok(Page::OlderThan(position)));
        assert_eq!(cursors.page(&cursors.newer_than(position)), Ok(Page::NewerThan(position)));
        assert_eq!(cursors.page(""), Ok(Page::Newest));
        let whole = cursors.older_than(position);
        for bad in ["x", "AAAA", "ä", &whole[1..], &format!("{whole}AA"), &"A".repeat(40), &"A".repeat(62)] {
            let error = cursors.page(bad).unwrap_err();
            assert_eq!((error.code, error.fields[0].0.as_str()), (ErrorCode::Malformed, "cursor"), "{bad}");
        }
    }

    #[test]
    fn a_cursor_is_signed_whole() {
        let cursors = cursors();
        let whole = cursors.older_than(Position { time: 5, delivery_id: Uuid::from_u128(7), number: 3 });
        let bytes = URL_SAFE_NO_PAD.decode(&whole).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(cursors.page(&URL_SAFE_NO_PAD.encode(changed)).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_cursor_is_for_its_own_list_and_any_page_of_it() {
        let position = Position { time: 5, delivery_id: Uuid::from_u128(7), number: 3 };
        let cursor = cursors().older_than(position);
        let others = [
            ListQuery { instance: "acm".to_owned(), ..list() },
            ListQuery { webhook_id: None, ..list() },
            ListQuery { webhook_id: Some(8), ..list() },
            ListQuery { status: Some(Status::Pending), ..list() },
            ListQuery { event_type: Some("run.created".to_owned()), ..list() },
            ListQuery { from: Some(1), ..list() },
            ListQuery { to: Some(1), ..list() },
            ListQuery { is_test: Some(false), ..list() },
        ];
        for (index, other) in others.iter().enumerate() {
            assert!(Cursors::new(&[7; 32], other).page(&cursor).is_err(), "list {index}");
            for (before, earlier) in others[..index].iter().enumerate() {
                let cursor = Cursors::new(&[7; 32], earlier).older_than(position);
                assert!(Cursors::new(&[7; 32], other).page(&cursor).is_err(), "lists {before} and {index}");
            }
        }
        assert!(Cursors::new(&[8; 32], &list()).page(&cursor).is_err(), "another key");
        let same = ListQuery { page: Page::OlderThan(position), limit: 100, ..list() };
        assert_eq!(Cursors::new(&[7; 32], &same).page(&cursor), Ok(Page::OlderThan(position)));
    }
}
