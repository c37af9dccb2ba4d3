//! A process of the service as its program makes it: on any store, with its own key file and key for JWTs.

use std::{io, net::IpAddr, path::Path, sync::Arc};

use async_trait::async_trait;
use domain::{AddressPolicy, Clock, Role, SystemIds};
use proto::{
    channel::{GrpcChannel, LocalServices},
    internal::v1::configuration_client::ConfigurationClient,
    v1::webhooks_client::WebhooksClient,
};
use runtime::{ServiceCredential, Tasks};
use subscription::{JwtVerifier, Parts, SecretBox, StartError, store::Store};

use crate::fixture::ADMIN;

/// Every host is somewhere public.
struct Anywhere;

#[async_trait]
impl runtime::Resolver for Anywhere {
    async fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        Ok(vec![IpAddr::from([93, 184, 215, 14])])
    }
}

/// A running process.
pub(crate) struct Process {
    pub(crate) tasks: Tasks,
    channel: GrpcChannel,
    credential: ServiceCredential,
}

impl Process {
    /// Starts one, with the token [`ADMIN`].
    pub(crate) async fn start(
        store: &Arc<dyn Store>,
        key_file: &Path,
        jwt: Option<JwtVerifier>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        let (tasks, credential) = (Tasks::new(), ServiceCredential::random(&SystemIds));
        let parts = Parts {
            store: Arc::clone(store),
            secrets: SecretBox::load(key_file).unwrap(),
            jwt,
            policy: AddressPolicy::default(),
            resolver: Arc::new(Anywhere),
            history: LocalServices::default().channel(),
            credential: credential.clone(),
            clock,
            ids: Arc::new(SystemIds),
        };
        let subscription = subscription::start(parts, &tasks).await?;
        let acme = "acme".parse().unwrap();
        subscription.ensure_token(ADMIN, "admin", Role::SystemAdmin, Some(acme)).await.unwrap();
        let services = LocalServices::default();
        services.set(subscription.routes);
        Ok(Self { tasks, channel: services.channel(), credential })
    }

    pub(crate) fn webhooks(&self) -> WebhooksClient<GrpcChannel> {
        WebhooksClient::new(self.channel.clone())
    }

    pub(crate) fn configuration(&self) -> ConfigurationClient<GrpcChannel> {
        let client = ConfigurationClient::new(self.credential.attach(self.channel.clone()));
        client.max_decoding_message_size(64 << 20)
    }
}
