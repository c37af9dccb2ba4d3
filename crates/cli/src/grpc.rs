//! Connections to gRPC services, in the name of a token.

use std::time::Duration;

use anyhow::Context as _;
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, ClientTlsConfig},
};

use crate::{out::escape, server};

/// What proves who calls.
#[derive(Clone)]
pub(crate) struct Authorization(MetadataValue<Ascii>);

impl Authorization {
    pub(crate) fn new(token: &str) -> anyhow::Result<Self> {
        Ok(Self(format!("Bearer {token}").parse().context("the token is not fit for a header")?))
    }

    /// A request with it.
    pub(crate) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.0.clone());
        request
    }
}

/// Connects to an address (`127.0.0.1:50051`) or a URL.
pub(crate) async fn connect(server: &str) -> anyhow::Result<Channel> {
    let url = server::parse(server)?;
    let mut endpoint = Channel::from_shared(url.to_string()).context("--server is not an address")?;
    if url.scheme() == "https" {
        endpoint = endpoint.tls_config(ClientTlsConfig::new().with_native_roots())?;
    }
    let channel = endpoint.connect_timeout(Duration::from_secs(5)).connect().await;
    channel.with_context(|| format!("cannot connect to {url}; is the server running there? name it with --server"))
}

/// What a server says of a call that it refused.
pub(crate) fn refusal(status: &Status) -> String {
    format!("{} ({:?})", escape(status.message()), status.code())
}
