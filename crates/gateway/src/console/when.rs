//! Times and lengths of time as the console writes and reads them: UTC, so that what two people see is the same.

use prost_types::Timestamp;

/// A moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct When {
    /// For programs.
    pub(super) exact: String,
    /// For people, to the second.
    pub(super) shown: String,
}

/// The moment; `None`: there is none.
pub(super) fn when(time: Option<Timestamp>) -> Option<When> {
    let exact = proto::json::timestamp::format(&time?)?;
    let shown = exact.get(..19)?.replace('T', " ");
    Some(When { exact, shown })
}

/// What a field for a day and a time holds (UTC), such as `2026-11-23T08:15`; `Err`: what stands there is no time.
pub(super) fn from_field(text: &str) -> Result<Option<Timestamp>, ()> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let seconds = if text.len() == 16 { ":00" } else { "" };
    proto::json::timestamp::parse(&format!("{text}{seconds}Z")).map(Some).ok_or(())
}

/// What [`from_field`] reads back.
pub(super) fn to_field(time: Option<Timestamp>) -> String {
    when(time).and_then(|when| when.exact.get(..19).map(str::to_owned)).unwrap_or_default()
}

/// How long an attempt took.
pub(super) fn duration(micros: i64) -> String {
    match micros {
        ..1_000 => format!("{micros} µs"),
        1_000..10_000 => format!("{:.1} ms", micros as f64 / 1_000.0),
        10_000..1_000_000 => format!("{} ms", micros / 1_000),
        _ => format!("{:.2} s", micros as f64 / 1_000_000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_and_read_in_utc() {
        let time = from_field("2026-11-23T08:15").unwrap();
        assert_eq!(when(time).unwrap().shown, "2026-11-23 08:15:00");
        assert_eq!(to_field(time), "2026-11-23T08:15:00");
        assert_eq!(from_field(&to_field(time)), Ok(time));
        assert_eq!(from_field(" "), Ok(None));
        assert_eq!(from_field("yesterday"), Err(()));
    }

    #[test]
    fn lengths_are_short() {
        let written = [900, 1_234, 12_345, 999_999, 10_004_000].map(duration);
        assert_eq!(written, ["900 µs", "1.2 ms", "12 ms", "999 ms", "10.00 s"]);
    }
}
