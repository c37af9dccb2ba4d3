//! The schema in Rust: code generated from `/proto`, and what every user of it needs beside it.
//!
//! - [`v1`] is what the world sees, [`internal`] what the services say to each other and through the broker.
//! - [`channel`] makes one type of client for a service in this process and for one elsewhere.
//! - [`error`] is the one table of error codes to gRPC and HTTP.
//! - [`json`] turns the JSON shape of an event into the message; [`mod@event`] says what is in a message.
//! - [`strict`] refuses fields that the schema does not know.

pub mod channel;
pub mod convert;
pub mod error;
pub mod event;
pub mod json;
mod masked;
pub mod strict;

/// `testmo.webhooks.v1`, generated.
#[expect(
    clippy::too_many_lines,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    reason = "generated"
)]
pub mod v1 {
    tonic::include_proto!("testmo.webhooks.v1");
    include!(concat!(env!("OUT_DIR"), "/strict/testmo.webhooks.v1.rs"));
}

/// What the services say to each other; the nesting follows the packages.
pub mod internal {
    /// `testmo.webhooks.internal.v1`, generated.
    #[expect(
        missing_docs,
        clippy::too_many_lines,
        clippy::large_enum_variant,
        clippy::allow_attributes,
        clippy::allow_attributes_without_reason,
        reason = "generated; nearly all records are of attempts, the large variant"
    )]
    pub mod v1 {
        tonic::include_proto!("testmo.webhooks.internal.v1");
    }
}

/// The compiled schema, for gRPC reflection and for naming unknown fields.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
