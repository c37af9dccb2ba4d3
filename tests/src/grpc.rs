//! The public gRPC services, called with any token.

use std::time::Duration;

use proto::v1::{
    events_client::EventsClient, history_client::HistoryClient, instances_client::InstancesClient,
    operations_client::OperationsClient, webhooks_client::WebhooksClient,
};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};

/// Where the services are, each such as `http://127.0.0.1:50051`.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// `Events` and `Operations`.
    pub ingest: String,
    /// `Webhooks` and `Instances`.
    pub subscription: String,
    /// `History`.
    pub history: String,
}

/// Clients with the same token, or none. They connect when they are first used.
#[derive(Clone, Debug)]
pub struct Grpc {
    ingest: Channel,
    subscription: Channel,
    history: Channel,
    bearer: Bearer,
}

/// A connection that sends the token.
pub type Connection = InterceptedService<Channel, Bearer>;

/// Adds the token to each call.
#[derive(Clone, Debug)]
pub struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(authorization) = &self.0 {
            request.metadata_mut().insert("authorization", authorization.clone());
        }
        Ok(request)
    }
}

impl Grpc {
    /// Clients of the services at `addresses`; `root` is the certificate (PEM) that `https://` is trusted by.
    #[must_use]
    pub fn new(addresses: &Addresses, token: Option<&str>, root: Option<&str>) -> Self {
        let bearer = token.map(|token| format!("Bearer {token}").parse().expect("a token in ASCII"));
        Self {
            ingest: channel(&addresses.ingest, root),
            subscription: channel(&addresses.subscription, root),
            history: channel(&addresses.history, root),
            bearer: Bearer(bearer),
        }
    }

    /// `Events`.
    #[must_use]
    pub fn events(&self) -> EventsClient<Connection> {
        EventsClient::with_interceptor(self.ingest.clone(), self.bearer.clone())
    }

    /// `Operations`.
    #[must_use]
    pub fn operations(&self) -> OperationsClient<Connection> {
        OperationsClient::with_interceptor(self.ingest.clone(), self.bearer.clone())
    }

    /// `Webhooks`.
    #[must_use]
    pub fn webhooks(&self) -> WebhooksClient<Connection> {
        WebhooksClient::with_interceptor(self.subscription.clone(), self.bearer.clone())
    }

    /// `Instances`.
    #[must_use]
    pub fn instances(&self) -> InstancesClient<Connection> {
        InstancesClient::with_interceptor(self.subscription.clone(), self.bearer.clone())
    }

    /// `History`.
    #[must_use]
    pub fn history(&self) -> HistoryClient<Connection> {
        HistoryClient::with_interceptor(self.history.clone(), self.bearer.clone())
    }

    /// The connections to all services, for services that are not for the public.
    #[must_use]
    pub fn connections(&self) -> [Connection; 3] {
        [&self.ingest, &self.subscription, &self.history]
            .map(|channel| InterceptedService::new(channel.clone(), self.bearer.clone()))
    }
}

pub(crate) fn channel(address: &str, root: Option<&str>) -> Channel {
    let mut endpoint = Endpoint::from_shared(address.to_owned()).expect("an address like http://127.0.0.1:50051");
    if let Some(root) = root {
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(root));
        endpoint = endpoint.tls_config(tls).expect("a certificate that may sign");
    }
    endpoint.connect_timeout(Duration::from_secs(5)).connect_lazy()
}
