//! A small client for the REST API: one connection a request, which is enough for people.

use std::{pin::pin, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use http::{Method, Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;
use url::Url;

use crate::{out::escape, server};

const TIMEOUT: Duration = Duration::from_secs(30);
/// How often a list is read anew that others change while it is read.
const TRIES: usize = 5;

/// Where to send requests, and in whose name.
pub(crate) struct Rest {
    base: Url,
    token: Option<String>,
    /// For `https`.
    tls: Option<TlsConnector>,
}

impl Rest {
    /// `server` is an address (`127.0.0.1:8080`) or a URL.
    pub(crate) fn new(server: &str, token: Option<String>) -> anyhow::Result<Self> {
        let base = server::parse(server)?;
        let tls = if base.scheme() == "https" { Some(tls()?) } else { None };
        Ok(Self { base, token, tls })
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
        let answer = tokio::time::timeout(TIMEOUT, self.exchange(method, path, body, version)).await;
        answer.with_context(|| format!("no answer from {} within {} s", self.base, TIMEOUT.as_secs()))?
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

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        version: Option<i64>,
    ) -> anyhow::Result<(u16, Value)> {
        let host = self.base.host_str().unwrap_or_default();
        let port = self.base.port_or_known_default().unwrap_or(80);
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, format!("{host}:{port}"));
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(version) = version {
            request = request.header(header::IF_MATCH, format!("\"{version}\""));
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let bytes = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let request = request.body(Full::new(bytes)).context("the token is not fit for a header")?;
        let stream = TcpStream::connect((host.trim_matches(['[', ']']), port)).await.with_context(|| {
            format!("cannot connect to {}; is the server running there? name it with --server", self.base)
        })?;
        let Some(tls) = &self.tls else { return speak(stream, request).await };
        let name =
            ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).context("--server: not a host name")?;
        let stream = tls.connect(name, stream).await.with_context(|| format!("no TLS with {}", self.base))?;
        speak(stream, request).await
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

fn tls() -> anyhow::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth())))
}

async fn speak<S>(stream: S, request: Request<Full<Bytes>>) -> anyhow::Result<(u16, Value)>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let exchange = async {
        let response = sender.send_request(request).await?;
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await?.to_bytes();
        anyhow::Ok((status, bytes))
    };
    let mut exchange = pin!(exchange);
    let (status, bytes) = tokio::select! {
        answer = &mut exchange => answer?,
        // The answer may have come before the connection ended.
        ended = connection => match (exchange.await, ended) {
            (Ok(answer), _) => answer,
            (Err(_), Err(error)) => bail!("the connection broke: {error}"),
            (Err(_), Ok(())) => bail!("the connection broke: closed"),
        },
    };
    if bytes.is_empty() {
        return Ok((status, Value::Null));
    }
    let answer = serde_json::from_slice(&bytes)
        .with_context(|| format!("the server answered {status} and no JSON; is this the right address?"))?;
    Ok((status, answer))
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
                let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{body}", body.len());
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
}
