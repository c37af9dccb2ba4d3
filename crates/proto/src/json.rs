//! The JSON shape of what the schema holds: timestamps as RFC 3339, enums by name. Used by the attributes that
//! `build.rs` adds to entities.

#![expect(non_snake_case, reason = "a module per enum, with the enum's name, as build.rs writes it")]

/// Timestamps as RFC 3339 in UTC.
pub mod timestamp {
    use prost_types::Timestamp;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
    use time::{OffsetDateTime, format_description::well_known::Rfc3339};

    /// Writes `null` or the text.
    ///
    /// # Errors
    /// A time outside the years 0 to 9999.
    pub fn serialize<S: Serializer>(value: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        value
            .as_ref()
            .map(|value| format(value).ok_or_else(|| serde::ser::Error::custom("time out of range")))
            .transpose()?
            .serialize(serializer)
    }

    /// Reads `null` or the text.
    ///
    /// # Errors
    /// Text that is not RFC 3339.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
        parse(&text).map(Some).ok_or_else(|| {
            D::Error::custom(format!("`{text}` is not a time in RFC 3339, such as 2026-11-23T08:15:00Z"))
        })
    }

    /// The text of a time, in UTC; `None` outside the years 0 to 9999.
    #[must_use]
    pub fn format(value: &Timestamp) -> Option<String> {
        let nanos = i128::from(value.seconds) * 1_000_000_000 + i128::from(value.nanos);
        OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()?.format(&Rfc3339).ok()
    }

    /// The time that a text means.
    #[must_use]
    pub fn parse(text: &str) -> Option<Timestamp> {
        let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        Some(Timestamp { seconds: time.unix_timestamp(), nanos: i32::try_from(time.nanosecond()).ok()? })
    }
}

/// A module for serde's `with`, and the names of an enum's values.
macro_rules! enum_by_name {
    ($enum:ident: $($variant:ident = $name:literal),+) => {
        /// Values by name.
        pub mod $enum {
            use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

            use crate::v1::$enum;

            /// Writes the name.
            ///
            /// # Errors
            /// A value that has none.
            pub fn serialize<S: Serializer>(value: &i32, serializer: S) -> Result<S::Ok, S::Error> {
                match name(*value) {
                    Some(name) => serializer.serialize_str(name),
                    None => Err(serde::ser::Error::custom(concat!(stringify!($enum), " has no such value"))),
                }
            }

            /// Reads the name.
            ///
            /// # Errors
            /// A name that is not one of them.
            pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
                let text = String::deserialize(deserializer)?;
                match text.as_str() {
                    $($name => Ok($enum::$variant as i32),)+
                    _ => Err(D::Error::custom(format!("`{text}` is not one of {}", NAMES.join(", ")))),
                }
            }

            /// The names, in the order of the schema.
            pub const NAMES: &[&str] = &[$($name),+];

            /// The name of a value; `None` for none given and for unknown ones.
            #[must_use]
            pub fn name(value: i32) -> Option<&'static str> {
                $(if value == $enum::$variant as i32 { return Some($name); })+
                None
            }
        }
    };
}

enum_by_name!(RunResult: Passed = "passed", Failed = "failed");
enum_by_name!(JobResult: Success = "success", Failure = "failure");
enum_by_name!(CaseState: Archived = "archived", Reactivated = "reactivated");
