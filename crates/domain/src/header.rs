//! Further request headers of a webhook. Their values are secrets: such as the token that a receiver asks for.

use std::{collections::HashSet, fmt};

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::FieldError;

/// What stands where a value is not shown.
pub const MASKED: &str = "…";

const MOST_HEADERS: usize = 20;
const LONGEST_NAME: usize = 100;
const LONGEST_VALUE: usize = 4_096;

/// Bytes of all names and values together: common servers refuse requests whose headers have more than 16 KiB.
const MOST_BYTES: usize = 16 * 1_024;

/// Names that are refused, and why. What ends in `-` stands for all that starts with it.
const REFUSED: &[(&str, &str)] = &[
    // Hop by hop (RFC 9110, 7.6.1): they steer the connection, and with it where one request ends and the next begins.
    ("connection", CONNECTION),
    ("keep-alive", CONNECTION),
    ("proxy-", CONNECTION),
    ("te", CONNECTION),
    ("trailer", CONNECTION),
    ("transfer-encoding", CONNECTION),
    ("upgrade", CONNECTION),
    ("http2-settings", CONNECTION),
    // Makes a client wait for an interim answer before it sends the body.
    ("expect", CONNECTION),
    ("host", "names the host of the URL"),
    ("content-", "describes the body"),
    ("user-agent", "names this service"),
    ("x-testmo-", OURS),
    ("webhook-", OURS),
    // Answers are kept as they come: history could show only what is not compressed.
    ("accept-encoding", "would make answers unreadable in history"),
];
const CONNECTION: &str = "steers the connection";
const OURS: &str = "is set by this service";

/// A further request header.
#[derive(Clone, Default, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct CustomHeader {
    /// Lower case, once checked.
    pub name: String,
    /// A secret.
    pub value: String,
}

impl fmt::Debug for CustomHeader {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {MASKED}", self.name)
    }
}

/// Checks headers; they come back in their order with names in lower case and values trimmed.
///
/// # Errors
/// All mistakes. No message holds a value; a name that is none is told by its place, for it may be a value that was
/// pasted into the wrong field.
pub fn check_headers(headers: Vec<CustomHeader>) -> Result<Vec<CustomHeader>, Vec<FieldError>> {
    if headers.len() > MOST_HEADERS {
        return Err(vec![mistake(format!("must be at most {MOST_HEADERS}"))]);
    }
    let mut errors = Vec::new();
    let mut names = HashSet::new();
    let mut checked = Vec::with_capacity(headers.len());
    for (place, header) in headers.iter().enumerate() {
        let name = header.name.to_ascii_lowercase();
        if !is_name(&name) {
            let place = place + 1;
            errors.push(mistake(format!(
                "name of header {place} must be 1 to {LONGEST_NAME} characters of a-z, A-Z, 0-9 and !#$%&'*+-.^_`|~"
            )));
            continue;
        }
        let value = header.value.trim_matches([' ', '\t']);
        let refused = [refused_name(&name), refused_value(value), (!names.insert(name.clone())).then(twice)];
        errors.extend(refused.into_iter().flatten().map(|reason| mistake(format!("header {name} {reason}"))));
        checked.push(CustomHeader { name, value: value.to_owned() });
    }
    if checked.iter().map(|header| header.name.len() + header.value.len()).sum::<usize>() > MOST_BYTES {
        errors.push(mistake(format!("must have at most {MOST_BYTES} characters in all names and values together")));
    }
    if errors.is_empty() { Ok(checked) } else { Err(errors) }
}

fn mistake(message: String) -> FieldError {
    FieldError::new("headers", message)
}

fn twice() -> String {
    "comes twice; names are the same whatever their case".to_owned()
}

/// A token of RFC 9110.
fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(fits)
}

fn refused_name(name: &str) -> Option<String> {
    let meant = |pattern: &str| name == pattern || (pattern.ends_with('-') && name.starts_with(pattern));
    let (_, reason) = REFUSED.iter().find(|(pattern, _)| meant(pattern))?;
    Some(format!("cannot be set here: it {reason}"))
}

fn refused_value(value: &str) -> Option<String> {
    if value == MASKED {
        return Some(format!("has the value {MASKED}, which is the mask, not a value; give the value itself"));
    }
    if !(1..=LONGEST_VALUE).contains(&value.len()) {
        return Some("must have a value of 1 to 4,096 characters".to_owned());
    }
    let fits = |byte: u8| byte.is_ascii_graphic() || byte == b' ' || byte == b'\t';
    let reason = "must have a value of visible ASCII characters, spaces and tabs on one line; encode others";
    (!value.bytes().all(fits)).then(|| reason.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header(name: &str, value: &str) -> CustomHeader {
        CustomHeader { name: name.into(), value: value.into() }
    }

    fn messages(headers: Vec<CustomHeader>) -> Vec<String> {
        let errors = check_headers(headers).unwrap_err();
        assert!(errors.iter().all(|error| error.field == "headers"));
        errors.into_iter().map(|error| error.message).collect()
    }

    #[test]
    fn good_headers_are_put_in_order() {
        let good = vec![header("Authorization", " Bearer a\tb c "), header("X-Custom_1", "1")];
        let expected = vec![header("authorization", "Bearer a\tb c"), header("x-custom_1", "1")];
        assert_eq!(check_headers(good), Ok(expected));
        assert_eq!(check_headers(Vec::new()), Ok(Vec::new()));
        let most = (0..20).map(|number| header(&format!("{}{number:02}", "n".repeat(98)), "v")).collect();
        assert_eq!(check_headers(most).unwrap().len(), 20);
        assert!(check_headers(vec![header("a", &"v".repeat(4_096))]).is_ok());
    }

    #[test]
    fn names_with_a_meaning_of_their_own_are_refused() {
        for name in [
            "Connection",
            "keep-alive",
            "Proxy-Authorization",
            "proxy-connection",
            "TE",
            "trailer",
            "Transfer-Encoding",
            "upgrade",
            "http2-settings",
            "Expect",
            "Host",
            "Content-Type",
            "content-length",
            "content-encoding",
            "X-Testmo-Signature-256",
            "x-testmo-anything",
            "webhook-id",
            "Webhook-Signature",
            "User-Agent",
            "accept-encoding",
        ] {
            let found = messages(vec![header(name, "v")]);
            let start = format!("header {} cannot be set here: it ", name.to_ascii_lowercase());
            assert!(found.len() == 1 && found[0].starts_with(&start), "{name}: {found:?}");
        }
        for name in [
            "accept",
            "authorization",
            "x-testmo",
            "webhooks-id",
            "hosts",
            "tea",
            "content",
            "x-content-type",
            "cookie",
        ] {
            assert!(check_headers(vec![header(name, "v")]).is_ok(), "{name}");
        }
    }

    #[test]
    fn what_would_break_the_request_is_refused() {
        for name in ["", " ", "a b", "a:b", "a\r\nx: y", "näme", "a\0", ":authority", "n".repeat(101).as_str()] {
            let found = messages(vec![header("ok", "v"), header(name, "v")]);
            assert!(found.len() == 1 && found[0].starts_with("name of header 2 must be"), "{found:?}");
        }
        for value in
            ["", " \t", "a\rb", "a\nb", "a\r\nx: y", "\n", "a\0", "a\u{7f}", "ü", "a…", "v".repeat(4_097).as_str()]
        {
            let found = messages(vec![header("a", value)]);
            assert!(found.len() == 1 && found[0].starts_with("header a must have a value of "), "{found:?}");
        }
        assert!(messages(vec![header("a", " … ")])[0].contains("is the mask, not a value"));
    }

    #[test]
    fn numbers_are_bounded() {
        let many = (0..21).map(|number| header(&format!("h{number}"), "v")).collect();
        assert_eq!(messages(many), ["must be at most 20"]);
        let heavy = |last: usize| -> Vec<_> {
            let lengths = [4_095, 4_095, 4_095, last];
            (0..4).zip(lengths).map(|(number, length)| header(&number.to_string(), &"v".repeat(length))).collect()
        };
        assert!(check_headers(heavy(4_095)).is_ok());
        assert_eq!(messages(heavy(4_096)), ["must have at most 16384 characters in all names and values together"]);
        let twice = messages(vec![header("X-A", "1"), header("x-a", "2"), header("host", "")]);
        assert_eq!(twice.len(), 3, "all mistakes at once: {twice:?}");
        assert!(twice[0].starts_with("header x-a comes twice"));
    }

    proptest! {
        /// Neither an error nor `Debug` shows a value, nor a name that is none.
        #[test]
        fn values_are_never_shown(name in "\\PC{0,8}|[a-z]{1,8}|host", secret in "[A-Z]{12}", tail in "\\PC{0,3}|\\n") {
            let value = format!("{secret}{tail}");
            let headers = vec![header(&name, &value), header(&format!("{secret} {name}"), "v")];
            let shown = format!("{:?}", headers[0]);
            prop_assert!(!shown.contains(&secret));
            for error in check_headers(headers).unwrap_err() {
                prop_assert!(!error.message.contains(&secret), "{}", error.message);
            }
        }

        /// What passes is safe to write into a request, and passes again unchanged.
        #[test]
        fn what_passes_is_canonical(
            name in "\\PC{1,6}|[A-Za-z-]{1,12}",
            value in "\\PC{0,6}|[ -~\\t]{0,12}|[\\x00-\\x20a]{1,6}",
        ) {
            if let Ok(checked) = check_headers(vec![header(&name, &value)]) {
                let one = &checked[0];
                prop_assert!(one.name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':'));
                prop_assert!(one.value.bytes().all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte)));
                prop_assert_eq!(one.value.trim(), &one.value);
                prop_assert_eq!(check_headers(checked.clone()), Ok(checked));
            }
        }
    }
}
