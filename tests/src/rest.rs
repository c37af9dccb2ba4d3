//! A small REST client: JSON in, status and JSON out, one connection per request.

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Method, Request, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, pki_types::ServerName},
};

/// How long a request may take; no answer of the product should come near it.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A client with an address and, usually, a token.
#[derive(Clone, Debug)]
pub struct Rest {
    address: SocketAddr,
    token: Option<String>,
    headers: Vec<(&'static str, String)>,
    /// With it, TLS is spoken.
    trust: Option<Arc<ClientConfig>>,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as it came.
    pub bytes: Bytes,
    /// The body as JSON; a string if it is not JSON, null if it is empty.
    pub json: Value,
}

impl Answer {
    /// The answer's `result`; panics with all of it if the status is another.
    #[must_use]
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "answered: {}", self.json);
        match self.json {
            Value::Object(mut members) => members.remove("result").unwrap_or(Value::Object(members)),
            other => other,
        }
    }

    /// Panics unless this is an error of the documented form with this status, code, and complaints about exactly these
    /// fields.
    #[track_caller]
    pub fn expect_error(&self, status: u16, code: Option<&str>, fields: &[&str]) {
        assert_eq!(self.status, status, "answered: {}", self.json);
        let text = |member: &str| self.json[member].as_str().unwrap_or_default();
        assert!(!text("message").is_empty(), "no message in {}", self.json);
        assert!(!text("code").is_empty(), "no code in {}", self.json);
        if let Some(code) = code {
            assert_eq!(text("code"), code, "in {}", self.json);
        }
        let errors = self.json["errors"].as_object().cloned().unwrap_or_default();
        let mut named: Vec<_> = errors.keys().map(String::as_str).collect();
        let mut expected = fields.to_vec();
        named.sort_unstable();
        expected.sort_unstable();
        assert_eq!(named, expected, "fields complained about in {}", self.json);
        for (field, complaints) in &errors {
            let texts = complaints.as_array().map(Vec::as_slice).unwrap_or_default();
            let all_text = texts.iter().all(|text| text.as_str().is_some_and(|text| !text.is_empty()));
            assert!(!texts.is_empty() && all_text, "complaints about {field} are no texts in {}", self.json);
        }
    }
}

impl Rest {
    /// A client of the server at `address`.
    #[must_use]
    pub fn new(address: SocketAddr, token: Option<&str>) -> Self {
        Self { address, token: token.map(str::to_owned), headers: Vec::new(), trust: None }
    }

    /// The same client over TLS, if there is somebody to trust.
    #[must_use]
    pub fn over_tls(self, trust: Option<Arc<ClientConfig>>) -> Self {
        Self { trust, ..self }
    }

    /// The same server with another token, or none.
    #[must_use]
    pub fn with_token(&self, token: Option<&str>) -> Self {
        Self::new(self.address, token).over_tls(self.trust.clone())
    }

    /// The same client, which sends this header with each request.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// Where the server is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `GET`; `path` with query, such as `/api/v1/webhooks`.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    /// `POST` of a JSON body.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, Some(("application/json", body.to_string().into()))).await
    }

    /// `POST` without a body.
    pub async fn act(&self, path: &str) -> Answer {
        self.send(Method::POST, path, None).await
    }

    /// `POST` of any bytes as any type.
    pub async fn post_raw(&self, path: &str, content_type: &str, body: impl Into<Bytes>) -> Answer {
        self.send(Method::POST, path, Some((content_type, body.into()))).await
    }

    /// `PATCH` with a JSON body.
    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PATCH, path, Some(("application/json", body.to_string().into()))).await
    }

    /// `DELETE`.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None).await
    }

    /// Any request; panics if there is no answer.
    pub async fn send(&self, method: Method, path: &str, body: Option<(&str, Bytes)>) -> Answer {
        let what = format!("{method} {path}");
        self.try_send(method, path, body).await.unwrap_or_else(|error| panic!("{what}: {error}"))
    }

    /// Any request; an error if there is no answer.
    ///
    /// # Errors
    /// The server is not there, or goes away, or takes more than half a minute.
    pub async fn try_send(&self, method: Method, path: &str, body: Option<(&str, Bytes)>) -> io::Result<Answer> {
        let start = Instant::now();
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, self.address.to_string());
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        if let Some((content_type, _)) = body {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        let body = body.map(|(_, bytes)| bytes).unwrap_or_default();
        let request = request.body(Full::new(body)).map_err(io::Error::other)?;
        match tokio::time::timeout(TIMEOUT, self.exchange(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {:?}", start.elapsed()))),
        }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> io::Result<Answer> {
        let stream = TcpStream::connect(self.address).await?;
        match &self.trust {
            Some(trust) => {
                let name = ServerName::from(self.address.ip());
                exchange(TlsConnector::from(Arc::clone(trust)).connect(name, stream).await?, request).await
            }
            None => exchange(stream, request).await,
        }
    }
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Full<Bytes>>,
) -> io::Result<Answer> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let connection = crate::spawn(connection);
    let response = sender.send_request(request).await.map_err(io::Error::other)?;
    let (head, body) = response.into_parts();
    let bytes = body.collect().await.map_err(io::Error::other)?.to_bytes();
    connection.abort();
    let json = match serde_json::from_slice(&bytes) {
        Ok(json) => json,
        Err(_) if bytes.is_empty() => Value::Null,
        Err(_) => Value::String(String::from_utf8_lossy(&bytes).into_owned()),
    };
    Ok(Answer { status: head.status.as_u16(), headers: head.headers, bytes, json })
}
