//! What history is sent, for `tests/fuzz`.

use bytes::Bytes;
use uuid::Uuid;

use crate::{
    consume,
    cursor::{self, Cursors},
    store::{Page, Position},
};

/// A message of the lane of records: what can be read of it.
///
/// # Errors
/// Why it, or some of it, would be parked.
pub fn records(bytes: &[u8]) -> Result<(), String> {
    let (_, fault) = consume::content(Bytes::copy_from_slice(bytes)).map_err(|error| error.to_string())?;
    fault.map_or(Ok(()), Err)
}

/// The cursor of a list.
///
/// # Errors
/// Why it is none of it.
///
/// # Panics
/// If a cursor is taken that is not the text that was given out for its page.
pub fn cursor(text: &str) -> Result<(), String> {
    let cursors = cursors();
    let again = match cursors.page(text).map_err(|error| error.to_string())? {
        Page::Newest => String::new(),
        Page::OlderThan(position) => cursors.older_than(position),
        Page::NewerThan(position) => cursors.newer_than(position),
    };
    assert_eq!(again, text, "two texts for one page");
    Ok(())
}

/// A cursor that [`cursor`] takes.
#[must_use]
pub fn good_cursor() -> String {
    let position = Position { time: 5, delivery_id: Uuid::from_u128(7), number: 3 };
    cursors().older_than(position)
}

/// Those of the list of a webhook.
fn cursors() -> Cursors {
    Cursors::new(&[7; 32], &cursor::example())
}
