//! W3C trace context: what ties the attempts of an event to whatever its publisher was doing.
//!
//! Of `traceparent` (<https://www.w3.org/TR/trace-context/>) all that the standard lets one rely on is kept: the trace, the
//! span that what follows goes on from (at first the publisher's), and whether that was sampled.

use std::fmt;

use crate::IdSource;

/// The only version there is; of a later one the same fields are read.
const VERSION: &str = "00";
/// The length of `traceparent` in that version.
const LENGTH: usize = 55;
/// The flag of a span that its maker has recorded.
const SAMPLED: u8 = 1;

/// Where an event comes from: a trace and a span in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    sampled: bool,
}

impl TraceContext {
    /// The bytes of [`TraceContext::to_bytes`].
    pub const BYTES: usize = 25;

    /// A trace of its own; nobody has recorded its first span.
    #[must_use]
    pub fn fresh(ids: &dyn IdSource) -> Self {
        let mut bytes = [0; Self::BYTES - 1];
        ids.fill(&mut bytes);
        let [trace_id @ .., a, b, c, d, e, f, g, h] = bytes;
        let mut fresh = Self { trace_id, span_id: [a, b, c, d, e, f, g, h], sampled: false };
        // An id of zeros alone is none.
        if fresh.trace_id == [0; 16] {
            fresh.trace_id[15] = 1;
        }
        fresh.ensure_span_id();
        fresh
    }

    /// Another span of the same trace, sampled if this one is.
    #[must_use]
    pub fn child(&self, ids: &dyn IdSource) -> Self {
        let mut child = *self;
        ids.fill(&mut child.span_id);
        child.ensure_span_id();
        child
    }

    fn ensure_span_id(&mut self) {
        if self.span_id == [0; 8] {
            self.span_id[7] = 1;
        }
    }

    /// The same span, sampled or not.
    #[must_use]
    pub const fn with_sampled(self, sampled: bool) -> Self {
        Self { sampled, ..self }
    }

    /// The span of this id in the same trace; `None`: that is no span id.
    #[must_use]
    pub fn with_span_id(self, span_id: &[u8]) -> Option<Self> {
        let span_id = span_id.try_into().ok().filter(|id| *id != [0; 8])?;
        Some(Self { span_id, ..self })
    }

    /// From a header `traceparent`; `None`: it is not valid, and to be treated as if it were not there.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim_matches([' ', '\t']);
        let (known, rest) = text.split_at_checked(LENGTH)?;
        let mut parts = known.split('-');
        let (version, trace_id, span_id, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let later = version != VERSION && (rest.is_empty() || rest.starts_with('-'));
        let [version] = hexadecimal(version)?;
        if parts.next().is_some() || version == 0xff || !(later || rest.is_empty()) {
            return None;
        }
        let [flags] = hexadecimal(flags)?;
        Self::new(hexadecimal(trace_id)?, hexadecimal(span_id)?, flags)
    }

    /// From [`TraceContext::to_bytes`]; `None`: from anything else.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (trace_id, rest) = bytes.split_first_chunk()?;
        let (span_id, flags) = rest.split_first_chunk()?;
        let [flags] = *flags else { return None };
        Self::new(*trace_id, *span_id, flags)
    }

    fn new(trace_id: [u8; 16], span_id: [u8; 8], flags: u8) -> Option<Self> {
        let is_valid = trace_id != [0; 16] && span_id != [0; 8];
        is_valid.then_some(Self { trace_id, span_id, sampled: flags & SAMPLED != 0 })
    }

    /// As messages carry it: trace id, span id, flags.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..16].copy_from_slice(&self.trace_id);
        bytes[16..24].copy_from_slice(&self.span_id);
        bytes[24] = u8::from(self.sampled);
        bytes
    }

    /// The trace id.
    #[must_use]
    pub const fn trace_id(&self) -> &[u8; 16] {
        &self.trace_id
    }

    /// The span id.
    #[must_use]
    pub const fn span_id(&self) -> &[u8; 8] {
        &self.span_id
    }

    /// Whether the maker of the span has recorded it, and so is whoever goes on from it to do.
    #[must_use]
    pub const fn is_sampled(&self) -> bool {
        self.sampled
    }
}

/// The header `traceparent`.
impl fmt::Display for TraceContext {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (trace_id, span_id) = (hex::encode(self.trace_id), hex::encode(self.span_id));
        write!(formatter, "{VERSION}-{trace_id}-{span_id}-{:02x}", u8::from(self.sampled))
    }
}

/// The bytes of lower-case hex of exactly this length.
fn hexadecimal<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).ok().map(|()| bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemIds;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    #[test]
    fn what_the_standard_permits_is_read() {
        let plain = format!("00-{TRACE}-{SPAN}-01");
        for (text, flags) in [
            (plain.clone(), "01"),
            (format!(" \t{plain} "), "01"),
            (format!("00-{TRACE}-{SPAN}-00"), "00"),
            // Flags that nobody knows yet are not handed on.
            (format!("00-{TRACE}-{SPAN}-ff"), "01"),
            (format!("00-{TRACE}-{SPAN}-02"), "00"),
            // Of a later version what is known of this one.
            (format!("cc-{TRACE}-{SPAN}-01"), "01"),
            (format!("cc-{TRACE}-{SPAN}-01-what-the-future-brings"), "01"),
        ] {
            let read = TraceContext::parse(&text).unwrap();
            assert_eq!(hex::encode(read.trace_id()), TRACE, "{text}");
            assert_eq!(read.to_string(), format!("00-{TRACE}-{SPAN}-{flags}"), "{text}");
            assert_eq!(TraceContext::from_bytes(&read.to_bytes()), Some(read));
        }
    }

    #[test]
    fn everything_else_is_ignored() {
        for text in [
            String::new(),
            "00".to_owned(),
            "é".repeat(40),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-1"),
            format!("00-{TRACE}-{SPAN}-01-"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("cc-{TRACE}-{SPAN}-01.more"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("0-0{TRACE}-{SPAN}-01"),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{}-{SPAN}-01", "0".repeat(32)),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00-{}-{SPAN}-01", TRACE.replace('4', "g")),
            format!("00-{TRACE}{SPAN}--01"),
            format!("00_{TRACE}_{SPAN}_01"),
        ] {
            assert_eq!(TraceContext::parse(&text), None, "{text}");
        }
        let bytes = TraceContext::fresh(&SystemIds).to_bytes();
        for other in [&bytes[..24], &[bytes.as_slice(), &[0]].concat(), &[0; TraceContext::BYTES]] {
            assert_eq!(TraceContext::from_bytes(other), None);
        }
    }

    #[test]
    fn others_of_the_same_trace_share_what_belongs_to_the_trace() {
        let parent = TraceContext::parse(&format!("00-{TRACE}-{SPAN}-01")).unwrap();
        let child = parent.child(&SystemIds);
        assert_eq!((child.trace_id(), child.is_sampled()), (parent.trace_id(), true));
        assert_ne!(child.span_id(), parent.span_id());
        assert_eq!(child.with_span_id(parent.span_id()), Some(parent));
        assert!(!parent.with_sampled(false).child(&SystemIds).is_sampled());
        for none in [&[0; 8][..], &[1; 7], &[]] {
            assert_eq!(parent.with_span_id(none), None);
        }
    }

    #[test]
    fn a_fresh_one_is_valid_whatever_the_dice_say() {
        struct Zeros;
        impl IdSource for Zeros {
            fn fill(&self, bytes: &mut [u8]) {
                bytes.fill(0);
            }
        }
        let fresh = TraceContext::fresh(&Zeros);
        for fresh in [TraceContext::fresh(&SystemIds), fresh, fresh.child(&Zeros)] {
            assert_eq!(TraceContext::parse(&fresh.to_string()), Some(fresh));
        }
        assert_ne!(TraceContext::fresh(&SystemIds), TraceContext::fresh(&SystemIds));
    }
}
