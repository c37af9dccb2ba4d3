//! What `--server` says.

use anyhow::bail;
use url::Url;

/// Scheme, host and port of a server, which may be named without its scheme.
pub(crate) fn parse(server: &str) -> anyhow::Result<Url> {
    let text = if server.contains("://") { server.to_owned() } else { format!("http://{server}") };
    let known = |url: &Url| matches!(url.scheme(), "http" | "https") && url.host().is_some();
    let Some(url) = Url::parse(&text).ok().filter(known) else {
        bail!("--server: `{server}` must look like 127.0.0.1:8080 or https://webhooks.example.com");
    };
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    // What stands before the host may be a password: it is not repeated.
    if !bare || !url.username().is_empty() || url.password().is_some() {
        bail!("--server must hold nothing but host and port, such as 127.0.0.1:8080 or https://webhooks.example.com");
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_port_are_all() {
        for (server, expected) in [
            ("127.0.0.1:8080", "http://127.0.0.1:8080/"),
            ("localhost:1", "http://localhost:1/"),
            ("https://h", "https://h/"),
            ("http://[::1]:8080/", "http://[::1]:8080/"),
        ] {
            assert_eq!(parse(server).unwrap().as_str(), expected);
        }
        for server in ["http://h/base", "h/base", "http://h?x=1", "http://h#x", "http://u:hunter2@h", "u@h"] {
            let error = parse(server).unwrap_err().to_string();
            assert!(error.contains("nothing but host and port") && !error.contains("hunter2"), "{server}: {error}");
        }
        for server in ["", "ftp://h", "http://", "h:port"] {
            assert!(parse(server).unwrap_err().to_string().contains("must look like"), "{server}");
        }
    }
}
