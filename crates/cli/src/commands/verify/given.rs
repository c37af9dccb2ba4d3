//! What there is to verify: secret, signatures and body, from files, standard input, options and the environment.

use std::{
    ffi::OsString,
    fs,
    io::{Read as _, stdin},
    path::Path,
};

use anyhow::{Context as _, bail};
use domain::Secret;

/// The environment variable with the secret.
pub(super) const SECRET: &str = "TESTMO_WEBHOOKS_SECRET";
/// The header of the product's own scheme.
pub(super) const TESTMO: &str = "X-Testmo-Signature-256";
/// The header of Standard Webhooks with the signature.
pub(super) const STANDARD: &str = "webhook-signature";

/// Values of the headers that have to do with signatures.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Signatures {
    /// `X-Testmo-Signature-256`.
    pub(super) testmo: Option<String>,
    /// `webhook-id`.
    pub(super) id: Option<String>,
    /// `webhook-timestamp`.
    pub(super) timestamp: Option<String>,
    /// `webhook-signature`.
    pub(super) standard: Option<String>,
}

/// Signatures, and the bytes that they should be of.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) signatures: Signatures,
    pub(super) body: Vec<u8>,
}

/// The secret in a file or else in the environment. No message holds any of it.
pub(super) fn read_secret(file: Option<&Path>, variable: Option<OsString>) -> anyhow::Result<Secret> {
    let (place, bytes) = match (file, variable) {
        (Some(path), _) => {
            let bytes = fs::read(path).with_context(|| format!("cannot read the secret in {}", path.display()))?;
            (path.display().to_string(), bytes)
        }
        (None, Some(value)) => (SECRET.to_owned(), value.into_encoded_bytes()),
        (None, None) => bail!("no secret: name its file with --secret-file, or put it into {SECRET}"),
    };
    let text = String::from_utf8_lossy(&bytes);
    let secret = text.trim().parse();
    secret.with_context(|| format!("{place} must hold the secret as it was shown when the webhook was made"))
}

impl Given {
    pub(super) fn new(signatures: Signatures, body: &Path) -> anyhow::Result<Self> {
        Ok(Self { signatures, body: read(body)? })
    }

    /// Headers and body in files of their own.
    pub(super) fn from_headers(headers: &Path, body: &Path) -> anyhow::Result<Self> {
        if [headers, body].map(|path| path == Path::new("-")) == [true, true] {
            bail!("headers and body can't both be standard input: name a file with --body, or use --request");
        }
        let bytes = read(headers)?;
        let place = headers.display();
        if split(bytes.trim_ascii()).is_some() {
            bail!("{place} goes on after an empty line; if a body follows there, use --request instead of --headers");
        }
        let signatures = Signatures::from_head(&bytes).with_context(|| format!("{place} cannot be used"))?;
        Self::new(signatures, body)
    }

    /// Headers and body in one file, with an empty line between.
    pub(super) fn from_request(request: &Path) -> anyhow::Result<Self> {
        let place = request.display();
        let bytes = read(request)?;
        let Some((head, body)) = split(&bytes) else {
            bail!("{place} has no empty line between headers and body; for headers alone use --headers");
        };
        let signatures = Signatures::from_head(head).with_context(|| format!("{place} cannot be used"))?;
        Ok(Self { signatures, body: body.to_vec() })
    }
}

impl Signatures {
    /// What the lines of a request's head say. A line without a colon, such as the request line, says nothing.
    fn from_head(head: &[u8]) -> anyhow::Result<Self> {
        let mut found = Self::default();
        for line in head.split(|byte| *byte == b'\n') {
            let line = String::from_utf8_lossy(line);
            // curl -v and its like put a mark before each line.
            let line = line.trim_start_matches("> ").trim_start_matches("< ");
            let Some((name, value)) = line.split_once(':') else { continue };
            let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
            let place = match name.as_str() {
                "x-testmo-signature-256" => &mut found.testmo,
                "webhook-id" => &mut found.id,
                "webhook-timestamp" => &mut found.timestamp,
                STANDARD => &mut found.standard,
                "transfer-encoding" if value.eq_ignore_ascii_case("chunked") => {
                    bail!("its body is in chunks: save the body without them and leave this header out")
                }
                _ => continue,
            };
            if place.replace(value.to_owned()).is_some() {
                bail!("the header {name} is there twice");
            }
        }
        if found == Self::default() {
            bail!("there is neither {TESTMO} nor {STANDARD} among the headers");
        }
        Ok(found)
    }
}

/// What is before and what is after the first empty line.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut start = 0;
    loop {
        let end = start + bytes[start..].iter().position(|byte| *byte == b'\n')?;
        if matches!(&bytes[start..end], b"" | b"\r") && start > 0 {
            return Some((&bytes[..start], &bytes[end + 1..]));
        }
        start = end + 1;
    }
}

/// The bytes of a file, or of standard input.
fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    if path != Path::new("-") {
        return fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    }
    let mut bytes = Vec::new();
    stdin().lock().read_to_end(&mut bytes).context("cannot read standard input")?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        "POST /hook:1 HTTP/1.1\r\nHost: example.com:80\r\nX-TESTMO-signature-256:sha256=00\r\nWebhook-Id:  a \r\n";

    #[test]
    fn heads_are_read_however_they_were_written_down() {
        let marked: String = HEAD.lines().map(|line| format!("> {line}\n")).collect();
        for head in [HEAD.to_owned(), HEAD.replace('\r', ""), marked] {
            let found = Signatures::from_head(head.as_bytes()).unwrap();
            assert_eq!((found.testmo.as_deref(), found.id.as_deref()), (Some("sha256=00"), Some("a")), "{head}");
            assert_eq!((found.timestamp, found.standard), (None, None));
        }
        for (more, expected) in
            [("webhook-id: b", "webhook-id is there twice"), ("Transfer-Encoding: Chunked", "in chunks")]
        {
            let error = Signatures::from_head(format!("{HEAD}{more}").as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert!(Signatures::from_head(b"Host: example.com").is_err());
    }

    #[test]
    fn a_request_is_split_at_its_first_empty_line() {
        assert_eq!(split(b"a: b\r\n\r\n{}\r\n\r\n"), Some((&b"a: b\r\n"[..], &b"{}\r\n\r\n"[..])));
        assert_eq!(split(b"a: b\n\n"), Some((&b"a: b\n"[..], &b""[..])));
        assert_eq!(split(b"a: b\nc: d\n"), None);
        assert_eq!(split(b""), None);
    }

    #[test]
    fn files_that_do_not_fit_their_option_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let (head, request) = (file("head", &format!("{HEAD}\r\n")), file("request", &format!("{HEAD}\r\n{{}}\n")));
        let stdin = Path::new("-");
        assert_eq!(Given::from_request(&request).unwrap().body, b"{}\n");
        assert_eq!(Given::from_headers(&head, &request).unwrap().body, fs::read(&request).unwrap());
        for (result, expected) in [
            (Given::from_headers(&request, &head), "use --request"),
            (Given::from_headers(stdin, stdin), "can't both be standard input"),
            (Given::from_request(&file("one-line", "webhook-id: x")), "no empty line"),
            (Given::from_request(&folder.path().join("missing")), "cannot read"),
        ] {
            let error = result.unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_secret_comes_from_a_file_or_the_environment() {
        let text = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        for written in [text.to_owned(), format!("{text}\n"), format!("{text}\r\n")] {
            fs::write(&path, written).unwrap();
            let secret = read_secret(Some(&path), Some("other".into())).unwrap();
            assert_eq!(secret.reveal(), text, "the file wins");
        }
        assert_eq!(read_secret(None, Some(text.into())).unwrap().reveal(), text);
        let error = format!("{:#}", read_secret(None, Some("whsec_hunter2".into())).unwrap_err());
        assert!(
            error.contains(SECRET) && error.contains("base64 of 32 bytes") && !error.contains("hunter2"),
            "{error}"
        );
        assert!(read_secret(None, None).is_err());
    }
}
