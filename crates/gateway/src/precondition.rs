//! Entity tags of webhooks, and the conditions that callers set with them: `If-Match`, `If-None-Match` (RFC 9110).

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts},
};
use proto::{error::ErrorCode, v1::GetWebhookRequest};

use crate::{
    Services,
    caller::{Caller, answer},
    error::Failure,
    path::number,
};

/// The tag of a webhook in this version.
pub(crate) fn etag(version: i64) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("\"{version}\"")).ok()
}

/// What the header `If-Match` asks of a webhook that is to be changed.
#[derive(Debug, PartialEq)]
pub(crate) enum IfMatch {
    /// That it exists: `*`, or no header at all.
    Exists,
    /// That it has one of these versions. What cannot be a strong tag of ours is left out: it matches nothing.
    Version(Vec<i64>),
}

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        Ok(match tags(&parts.headers, &header::IF_MATCH)? {
            None | Some(Tags::Any) => Self::Exists,
            Some(Tags::List(tags)) => {
                Self::Version(tags.into_iter().filter(|tag| !tag.weak).filter_map(|tag| tag.version).collect())
            }
        })
    }
}

impl IfMatch {
    /// The version that the service is to insist on; `None`: any.
    ///
    /// The service compares with one version, in the transaction that makes the change. Of several the one that the
    /// webhook has now is the one to insist on; none at all is still answered 404 where there is no webhook.
    pub(crate) async fn version(&self, services: &Services, caller: &Caller, id: i64) -> Result<Option<i64>, Failure> {
        let versions = match self {
            Self::Exists => return Ok(None),
            Self::Version(versions) => versions,
        };
        if let [version] = versions.as_slice() {
            return Ok(Some(*version));
        }
        let found = answer(services.webhooks().get_webhook(caller.request(GetWebhookRequest { id }))).await?;
        let now = found.webhook.ok_or_else(|| Failure::incomplete("webhook"))?.version;
        if versions.contains(&now) {
            return Ok(Some(now));
        }
        let message = format!("the webhook is at version {now}, which if-match does not name; read it again");
        Err(Failure::new(ErrorCode::PreconditionFailed, message))
    }
}

/// What the header `If-None-Match` says that the caller has already.
pub(crate) struct IfNoneMatch(Option<Tags>);

impl<S: Sync> FromRequestParts<S> for IfNoneMatch {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        tags(&parts.headers, &header::IF_NONE_MATCH).map(Self)
    }
}

impl IfNoneMatch {
    /// Whether the caller has this version. Weak tags count here.
    pub(crate) fn has(&self, version: i64) -> bool {
        match &self.0 {
            None => false,
            Some(Tags::Any) => true,
            Some(Tags::List(tags)) => tags.iter().any(|tag| tag.version == Some(version)),
        }
    }
}

#[derive(Debug, PartialEq)]
enum Tags {
    Any,
    List(Vec<Tag>),
}

#[derive(Debug, PartialEq)]
struct Tag {
    weak: bool,
    /// `None`: somebody else's.
    version: Option<i64>,
}

/// The tags of a header, its lines taken together.
fn tags(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Tags>, Failure> {
    let lines: Vec<&[u8]> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
    if lines.is_empty() {
        return Ok(None);
    }
    let malformed = || {
        let message = format!("the header {name} is neither * nor a list of entity tags; send such as \"7\"");
        Failure::new(ErrorCode::Malformed, message)
    };
    parse(&lines.join(&b","[..])).map(Some).ok_or_else(malformed)
}

/// `*`, or tags with commas between; empty places count for nothing, but one tag must be there.
fn parse(text: &[u8]) -> Option<Tags> {
    let mut rest = ows(text);
    if rest == b"*" {
        return Some(Tags::Any);
    }
    let mut tags = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix(b",") {
            rest = ows(after);
            continue;
        }
        let (tag, after) = tag(rest)?;
        tags.push(tag);
        rest = ows(after);
        if !rest.is_empty() && !rest.starts_with(b",") {
            return None;
        }
    }
    (!tags.is_empty()).then_some(Tags::List(tags))
}

/// A tag, and what comes after it.
fn tag(text: &[u8]) -> Option<(Tag, &[u8])> {
    let (weak, quoted) = match text.strip_prefix(b"W/") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let inside = quoted.strip_prefix(b"\"")?;
    let end = inside.iter().position(|byte| *byte == b'"')?;
    let (opaque, after) = (&inside[..end], &inside[end + 1..]);
    let permitted = opaque.iter().all(|byte| matches!(byte, 0x21 | 0x23..=0x7e | 0x80..));
    let version = str::from_utf8(opaque).ok().and_then(number);
    permitted.then_some((Tag { weak, version }, after))
}

fn ows(text: &[u8]) -> &[u8] {
    text.trim_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours(version: i64) -> Tag {
        Tag { weak: false, version: Some(version) }
    }

    #[test]
    fn tags_are_read_as_the_standard_writes_them() {
        let strange = || Tag { weak: false, version: None };
        for (text, expected) in [
            ("*", Tags::Any),
            (" * ", Tags::Any),
            ("\"7\"", Tags::List(vec![ours(7)])),
            ("W/\"7\"", Tags::List(vec![Tag { weak: true, version: Some(7) }])),
            ("\"7\",\"9223372036854775807\"", Tags::List(vec![ours(7), ours(i64::MAX)])),
            (" ,\"7\" ,\t, \"8\",", Tags::List(vec![ours(7), ours(8)])),
            ("\"\"", Tags::List(vec![strange()])),
            ("\"07\", \"-7\", \"0\"", Tags::List(vec![strange(), strange(), strange()])),
            ("\"9223372036854775808\"", Tags::List(vec![strange()])),
            ("\"a,b\"", Tags::List(vec![strange()])),
            ("\"\u{e9}\"", Tags::List(vec![strange()])),
        ] {
            assert_eq!(parse(text.as_bytes()), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_tag_is_malformed() {
        for text in
            ["", " ", ",", "7", "\"7", "7\"", "w/\"7\"", "W/7", "*,\"7\"", "\"7\",*", "\"7\" \"8\"", "\"a b\"", "'7'"]
        {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }
}
