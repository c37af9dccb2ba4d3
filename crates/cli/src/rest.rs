//! A small client for the REST API: one connection a request, which is enough for people.

use std::{sync::Arc, time::Duration};

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

use crate::server;

const TIMEOUT: Duration = Duration::from_secs(30);

/// Where to send requests, and in whose name.
pub(crate) struct Rest {
    base: Url,
    token: Option<String>,
}

impl Rest {
    /// `server` is an address (`127.0.0.1:8080`) or a URL.
    pub(crate) fn new(server: &str, token: Option<String>) -> anyhow::Result<Self> {
        let base = server::parse(server)?;
        Ok(Self { base, token })
    }

    /// Sends a request; answers the status and the JSON that came back (null where there was none).
    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<(u16, Value)> {
        let answer = tokio::time::timeout(TIMEOUT, self.exchange(method, path, body)).await;
        answer.with_context(|| format!("no answer from {} within {} s", self.base, TIMEOUT.as_secs()))?
    }

    async fn exchange(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<(u16, Value)> {
        let host = self.base.host_str().unwrap_or_default();
        let port = self.base.port_or_known_default().unwrap_or(80);
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, format!("{host}:{port}"));
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let bytes = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let request = request.body(Full::new(bytes)).context("the token is not fit for a header")?;
        let stream = TcpStream::connect((host.trim_matches(['[', ']']), port)).await.with_context(|| {
            format!("cannot connect to {}; is the server running there? name it with --server", self.base)
        })?;
        if self.base.scheme() == "http" {
            return speak(stream, request).await;
        }
        let name =
            ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).context("--server: not a host name")?;
        let stream = tls()?.connect(name, stream).await.with_context(|| format!("no TLS with {}", self.base))?;
        speak(stream, request).await
    }
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
    let (status, bytes) = tokio::select! {
        answer = exchange => answer?,
        ended = connection => bail!("the connection broke: {}", ended.err().map_or("closed".to_owned(), |error| error.to_string())),
    };
    if bytes.is_empty() {
        return Ok((status, Value::Null));
    }
    let answer = serde_json::from_slice(&bytes)
        .with_context(|| format!("the server answered {status} and no JSON; is this the right address?"))?;
    Ok((status, answer))
}
