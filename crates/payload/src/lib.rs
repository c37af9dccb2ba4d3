//! Bodies of deliveries, made from events. Pure: the same event gives the same bytes, everywhere and always.
//!
//! - [`render_generic`] makes the JSON envelope.
//! - [`sample`] makes an event of each type for test payloads, the catalogue and the documentation.

mod generic;
mod sample;
#[cfg(test)]
mod tests;

pub use generic::{RenderError, render_generic};
pub use sample::sample;
