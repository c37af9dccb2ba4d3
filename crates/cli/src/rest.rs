//! The client of the REST API.

use std::{
    error::Error,
    io::{self, ErrorKind},
    iter::successors,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, anyhow, bail};
use http::{Method, header};
use hyper::body::Bytes;
use reqwest::{Client, Response, redirect};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use url::Url;

use crate::{out::escape, server};

const TIMEOUT: Duration = Duration::from_secs(30);
/// The same for every part of an answer that is read part by part: the server may have to count first.
const PATIENCE: Duration = Duration::from_secs(120);
/// Shorter than the usual keep-alive of servers and proxies: a connection that the other side is about to close would
/// cost a request.
const IDLE: Duration = Duration::from_secs(4);
/// How often a list is read anew that others change while it is read.
const TRIES: usize = 5;

/// Where to send requests, and in whose name.
pub(crate) struct Rest {
    base: Url,
    token: Option<String>,
    client: Client,
}

/// A good answer that is read part by part.
pub(crate) struct Incoming {
    response: Response,
    base: Url,
}

impl Rest {
    /// `server` is an address (`127.0.0.1:8080`) or a URL.
    pub(crate) fn new(server: &str, token: Option<String>) -> anyhow::Result<Self> {
        let base = server::parse(server)?;
        let client = client(&base)?;
        Ok(Self { base, token, client })
    }

    /// Sends a request; answers the status and the JSON that came back (null where there was none).
    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<(u16, Value)> {
        self.send_if(method, path, body, None).await
    }

    /// As [`Rest::send`]; with a version, 412 unless the object has that one (`If-Match`).
    pub(crate) async fn send_if(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        version: Option<i64>,
    ) -> anyhow::Result<(u16, Value)> {
        let exchange = async { whole(self.ask(method, path, body, version).await?).await };
        within(TIMEOUT, &self.base, exchange).await
    }

    /// Starts to read an answer that may be longer than memory.
    pub(crate) async fn open(&self, path: &str) -> anyhow::Result<Incoming> {
        within(PATIENCE, &self.base, async {
            let response = self.ask(Method::GET, path, None, None).await?;
            if response.status().is_success() {
                return Ok(Incoming { response, base: self.base.clone() });
            }
            let (status, answer) = whole(response).await?;
            bail!("{}", refusal(status, &answer))
        })
        .await
    }

    /// All items of a list, from all of its pages; `path` has no query.
    ///
    /// What is deleted meanwhile moves other items to a page that has been read: the list is then read anew.
    pub(crate) async fn list(&self, path: &str) -> anyhow::Result<Vec<Value>> {
        for _ in 0..TRIES {
            let mut items: Vec<Value> = Vec::new();
            let mut totals = Vec::new();
            let mut page = Some(1);
            while let Some(number) = page {
                let path = format!("{path}?page={number}&per_page=100");
                let mut answer = expect(self.send(Method::GET, &path, None).await?)?;
                let Value::Array(result) = answer["result"].take() else {
                    bail!("the server's answer to GET {path} has no list; is this the right address?");
                };
                items.extend(result);
                totals.push(answer["total"].as_u64());
                page = answer["next_page"].as_u64().filter(|next| *next > number);
            }
            let count = u64::try_from(items.len()).ok();
            if totals.iter().all(|total| *total == count) {
                return Ok(items);
            }
        }
        bail!("the list {path} changed while it was read, {TRIES} times; repeat the command")
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        version: Option<i64>,
    ) -> anyhow::Result<Response> {
        let url = self.base.join(path).with_context(|| format!("{path} is no address at {}", self.base))?;
        let mut request = self.client.request(method, url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(version) = version {
            request = request.header(header::IF_MATCH, format!("\"{version}\""));
        }
        if let Some(body) = body {
            request = request.header(header::CONTENT_TYPE, "application/json").body(body.to_string());
        }
        let request = request.build().map_err(|error| cause(&error)).context("the token is not fit for a header")?;
        self.client.execute(request).await.map_err(|error| self.unanswered(&error))
    }

    /// Why there is no answer.
    fn unanswered(&self, error: &reqwest::Error) -> anyhow::Error {
        let reason = cause(error);
        if !error.is_connect() {
            return anyhow!("the connection broke: {reason}");
        }
        if self.base.scheme() == "https" && is_of_tls(error) {
            return reason.context(format!("no TLS with {}", self.base));
        }
        reason.context(format!("cannot connect to {}; is the server running there? name it with --server", self.base))
    }
}

impl Incoming {
    /// A header of the answer.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// The next part; `None` at the end of an answer that came whole.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<Bytes>> {
        let part = async { self.response.chunk().await.map_err(|error| broken(&error)) };
        within(PATIENCE, &self.base, part).await
    }
}

/// The answer, if it is a good one; otherwise its error in one line.
pub(crate) fn expect((status, answer): (u16, Value)) -> anyhow::Result<Value> {
    if status < 300 {
        return Ok(answer);
    }
    bail!("{}", refusal(status, &answer))
}

/// What the server says of a request that it refused.
pub(crate) fn refusal(status: u16, answer: &Value) -> String {
    let message = answer["message"].as_str().unwrap_or("the server refused without saying why");
    format!("{} ({status})", escape(message))
}

#[expect(clippy::disallowed_methods, reason = "what this client asks is named by whoever runs the command")]
fn client(base: &Url) -> anyhow::Result<Client> {
    let mut roots = RootCertStore::empty();
    // A machine without any must still do for `http`.
    if base.scheme() == "https" {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let client = Client::builder()
        .tls_backend_preconfigured(tls.with_root_certificates(roots).with_no_client_auth())
        .redirect(redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .pool_idle_timeout(IDLE);
    client.build().map_err(|error| cause(&error)).context("cannot set up the HTTP client")
}

async fn within<T>(
    patience: Duration,
    base: &Url,
    answer: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let answer = tokio::time::timeout(patience, answer).await;
    answer.with_context(|| format!("no answer from {base} within {} s", patience.as_secs()))?
}

/// Status and JSON (null where there is none).
async fn whole(response: Response) -> anyhow::Result<(u16, Value)> {
    let status = response.status().as_u16();
    let bytes = response.bytes().await.map_err(|error| broken(&error))?;
    if bytes.is_empty() {
        return Ok((status, Value::Null));
    }
    let answer = serde_json::from_slice(&bytes)
        .with_context(|| format!("the server answered {status} and no JSON; is this the right address?"))?;
    Ok((status, answer))
}

fn broken(error: &reqwest::Error) -> anyhow::Error {
    anyhow!("the connection broke: {}", cause(error))
}

/// What lies at the bottom of an error; what stands above it says only where it went through.
fn cause(error: &reqwest::Error) -> anyhow::Error {
    match causes(error).last() {
        Some(cause) => anyhow!("{cause}"),
        None => anyhow!("{error}"),
    }
}

/// Whether a server was reached that does not speak TLS, or not to our liking.
fn is_of_tls(error: &reqwest::Error) -> bool {
    // An I/O error that wraps another one does not name it as its source.
    let is_of_tls = |error: &io::Error| matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof);
    let found = causes(error).filter_map(|cause| cause.downcast_ref::<io::Error>());
    found.flat_map(|error| successors(Some(error), |error| error.get_ref()?.downcast_ref())).any(is_of_tls)
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    successors(error.source(), |cause| (*cause).source())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    /// Answers one request after the other, while `ask` asks; its result, and the requests as they came.
    async fn with_answers<T>(answers: &[Value], ask: impl AsyncFnOnce(Rest) -> T) -> (T, Vec<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let rest = Rest::new(&listener.local_addr().unwrap().to_string(), Some("token".to_owned())).unwrap();
        let serve = async {
            let mut requests = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                    stream.read_buf(&mut request).await.unwrap();
                }
                let (status, body) = (answer["status"].as_u64().unwrap_or(200), answer.to_string());
                let head =
                    format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
                let answer = format!("{head}{body}");
                stream.write_all(answer.as_bytes()).await.unwrap();
                requests.push(String::from_utf8(request).unwrap());
            }
            requests
        };
        tokio::time::timeout(TIMEOUT, async { tokio::join!(ask(rest), serve) }).await.unwrap()
    }

    #[tokio::test]
    async fn a_list_that_changes_while_it_is_read_is_read_anew() {
        let answers = [
            json!({"result": [1, 2], "total": 4, "next_page": 2}),
            // One of the first page is gone: what was third has moved there.
            json!({"result": [4], "total": 3, "next_page": null}),
            json!({"result": [2, 3], "total": 3, "next_page": 2}),
            json!({"result": [4], "total": 3, "next_page": null}),
        ];
        let (list, requests) = with_answers(&answers, async |rest| rest.list("/things").await).await;
        assert_eq!(list.unwrap(), [2, 3, 4]);
        for (request, page) in requests.iter().zip([1, 2, 1, 2]) {
            assert!(request.starts_with(&format!("GET /things?page={page}&per_page=100 ")), "{request}");
        }
        let (list, _) =
            with_answers(&vec![json!({"result": [], "total": 1}); TRIES], async |rest| rest.list("/things").await)
                .await;
        assert!(list.unwrap_err().to_string().contains("changed while it was read"));
    }

    #[tokio::test]
    async fn a_refusal_is_told_in_one_line() {
        let answer = json!({"status": 403, "message": "no\n\u{1b}[2J"});
        let (list, _) = with_answers(&[answer], async |rest| rest.list("/things").await).await;
        assert_eq!(list.unwrap_err().to_string(), r"no\n\u{1b}[2J (403)");
    }

    #[tokio::test]
    async fn a_version_travels_as_a_tag() {
        let ask = async |rest: Rest| {
            rest.send_if(Method::DELETE, "/things/1", None, Some(7)).await.unwrap();
            rest.send(Method::DELETE, "/things/1", None).await.unwrap();
        };
        let ((), requests) = with_answers(&[Value::Null, Value::Null], ask).await;
        assert!(requests[0].contains("\r\nif-match: \"7\"\r\n"), "{}", requests[0]);
        assert!(!requests[1].contains("if-match"), "{}", requests[1]);
    }

    #[tokio::test]
    async fn a_redirect_is_not_followed() {
        let (answer, requests) = with_answers(&[json!({"status": 302})], async |rest| rest.list("/things").await).await;
        assert!(answer.unwrap_err().to_string().ends_with("(302)"));
        assert_eq!(requests.len(), 1);
    }

    /// What is told if the server does nothing but this with every connection.
    async fn told(scheme: &str, bytes: &'static [u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let rest = Rest::new(&format!("{scheme}://{}", listener.local_addr().unwrap()), None).unwrap();
        let serve = async {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                // The request is read: otherwise the end would be a reset, which may overtake the bytes.
                let _ = stream.read_buf(&mut Vec::with_capacity(4096)).await;
                let _ = stream.write_all(bytes).await;
            }
        };
        let ask = async {
            let mut incoming = rest.open("/things").await?;
            while incoming.next().await?.is_some() {}
            anyhow::Ok(())
        };
        tokio::select! {
            answer = ask => answer.map_or_else(|error| runtime::explain(error.as_ref()), |()| "whole".to_owned()),
            () = serve => unreachable!("it serves for ever"),
        }
    }

    #[tokio::test]
    async fn an_answer_that_breaks_off_is_not_whole() {
        let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n";
        assert_eq!(told("http", format!("{head}0\r\n\r\n").leak().as_bytes()).await, "whole");
        for answer in [head, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\na", "HTTP/1.1 200 OK\r\n"] {
            let told = told("http", answer.as_bytes()).await;
            assert!(told.starts_with("the connection broke: "), "{told}");
        }
    }

    #[tokio::test]
    async fn why_nothing_is_reached_is_told() {
        let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        for scheme in ["http", "https"] {
            let rest = Rest::new(&format!("{scheme}://{address}"), None).unwrap();
            let error = rest.send(Method::GET, "/", None).await.unwrap_err();
            let expected = format!(
                "cannot connect to {scheme}://{address}/; is the server running there? name it with --server: Connection refused"
            );
            let told = runtime::explain(error.as_ref());
            assert!(told.starts_with(&expected), "{told}");
        }
        for bytes in [b"HTTP/1.1 400 X\r\n\r\n".as_slice(), b""] {
            let told = told("https", bytes).await;
            assert!(told.starts_with("no TLS with https://127.0.0.1:"), "{told}");
        }
        let rest = Rest::new("127.0.0.1:1", Some("to\nken".to_owned())).unwrap();
        let told = runtime::explain(rest.send(Method::GET, "/", None).await.unwrap_err().as_ref());
        assert!(told.starts_with("the token is not fit for a header") && !told.contains("ken\n"), "{told}");
    }
}
