//! Where a page of entries begins, as an opaque text.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use proto::error::{ApiError, ErrorCode};
use uuid::Uuid;

use crate::store::{Page, Position};

const FORMAT: u8 = 1;
const OLDER: u8 = 0;
const NEWER: u8 = 1;
const BYTES: usize = 30;

/// For the entries older than `position`.
pub(crate) fn older_than(position: Position) -> String {
    encode(OLDER, position)
}

/// For the entries newer than `position`.
pub(crate) fn newer_than(position: Position) -> String {
    encode(NEWER, position)
}

fn encode(direction: u8, position: Position) -> String {
    let mut bytes = Vec::with_capacity(BYTES);
    bytes.extend([FORMAT, direction]);
    bytes.extend(position.time.to_be_bytes());
    bytes.extend(position.delivery_id.as_bytes());
    bytes.extend(position.number.to_be_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The page that a text stands for; the newest for an empty one.
///
/// # Errors
/// A text that was not made here.
pub(crate) fn page(cursor: &str) -> Result<Page, ApiError> {
    if cursor.is_empty() {
        return Ok(Page::Newest);
    }
    decode(cursor).ok_or_else(|| {
        let text = "must be one from an earlier answer; leave it out to start with the newest entries";
        ApiError {
            code: ErrorCode::Malformed,
            message: format!("cursor: {text}"),
            fields: vec![("cursor".to_owned(), text.to_owned())],
        }
    })
}

fn decode(cursor: &str) -> Option<Page> {
    let bytes: [u8; BYTES] = URL_SAFE_NO_PAD.decode(cursor).ok()?.try_into().ok()?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_survive_and_anything_else_is_refused() {
        let position = Position { time: -5, delivery_id: Uuid::from_u128(7), number: 3 };
        assert_eq!(page(&older_than(position)), Ok(Page::OlderThan(position)));
        assert_eq!(page(&newer_than(position)), Ok(Page::NewerThan(position)));
        assert_eq!(page(""), Ok(Page::Newest));
        let whole = older_than(position);
        for bad in ["x", "AAAA", "ä", &whole[1..], &format!("{whole}AA"), &"A".repeat(40)] {
            let error = page(bad).unwrap_err();
            assert_eq!((error.code, error.fields[0].0.as_str()), (ErrorCode::Malformed, "cursor"), "{bad}");
        }
    }
}
