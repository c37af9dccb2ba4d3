//! The service in this process: its time, names and addresses set by the test.

use std::{
    io,
    net::IpAddr,
    path::PathBuf,
    sync::{Arc, LazyLock},
};

use async_trait::async_trait;
use domain::{AddressPolicy, InstanceId, ManualClock, Role, SystemIds, Timestamp};
use proto::{
    channel::{GrpcChannel, LocalServices},
    error::{ApiError, ErrorCode},
    internal::v1::configuration_client::ConfigurationClient,
    v1::{CreateWebhookRequest, ProjectList, Webhook, webhooks_client::WebhooksClient},
};
use runtime::{ServiceCredential, Tasks};
use subscription::{Parts, SecretBox, StartError, Subscription, store::open_sqlite};
use tempfile::TempDir;
use tonic::{Request, Response, Status};

pub(crate) const NOON: Timestamp = Timestamp::from_micros(1_795_000_000_000_000);

pub(crate) const ADMIN: &str = "admin-of-acme-0123456789abcdef0123456789";
pub(crate) const PROJECT_ADMIN: &str = "project-admin-of-1-and-2-in-acme-0123456789";
pub(crate) const MEMBER: &str = "member-of-acme-0123456789abcdef0123456789";
pub(crate) const PUBLISHER: &str = "publisher-of-acme-0123456789abcdef0123456789";
pub(crate) const EVERYWHERE: &str = "publisher-for-all-0123456789abcdef0123456789";
pub(crate) const STRANGER: &str = "admin-of-other-0123456789abcdef0123456789";
pub(crate) const OPERATOR: &str = "admin-of-default-0123456789abcdef0123456789";
pub(crate) const NOBODY: &str = "not-a-token";

/// Knows the hosts of `HOSTS` and no others.
struct Hosts;

const HOSTS: &[(&str, &[&str])] = &[
    ("example.com", &["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"]),
    ("mixed.example", &["93.184.215.14", "10.0.0.5"]),
    ("mixed6.example", &["2606:2800:21f:cb07:6820:80da:af6b:8b2c", "fd00::1"]),
    ("metadata.example", &["169.254.169.254"]),
    ("mapped.example", &["::ffff:127.0.0.1"]),
    ("none.example", &[]),
];

#[async_trait]
impl runtime::Resolver for Hosts {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let (_, addresses) =
            HOSTS.iter().find(|(name, _)| *name == host).ok_or_else(|| io::Error::other("no such host"))?;
        Ok(addresses.iter().map(|address| address.parse().unwrap()).collect())
    }
}

pub(crate) struct Fixture {
    pub(crate) folder: TempDir,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) subscription: Subscription,
    credential: ServiceCredential,
    channel: GrpcChannel,
}

impl Fixture {
    /// The service on an empty store, and a token of each kind.
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(NOON));
        let credential = CREDENTIAL.clone();
        let subscription = run(&folder, 7, Arc::clone(&clock)).await.unwrap();
        let services = LocalServices::default();
        services.set(subscription.routes.clone());
        let acme: InstanceId = "acme".parse().unwrap();
        for (text, role, instance) in [
            (ADMIN, Role::SystemAdmin, Some(acme.clone())),
            (PROJECT_ADMIN, Role::ProjectAdmin(vec![1, 2]), Some(acme.clone())),
            (MEMBER, Role::Member, Some(acme.clone())),
            (PUBLISHER, Role::Publisher, Some(acme)),
            (EVERYWHERE, Role::Publisher, None),
            (STRANGER, Role::SystemAdmin, Some("other".parse().unwrap())),
            (OPERATOR, Role::SystemAdmin, Some(InstanceId::default())),
        ] {
            subscription.ensure_token(text, text, role, instance).await.unwrap();
        }
        Self { folder, clock, subscription, credential, channel: services.channel() }
    }

    pub(crate) fn webhooks(&self) -> WebhooksClient<GrpcChannel> {
        WebhooksClient::new(self.channel.clone())
    }

    /// As the other services use it.
    pub(crate) fn configuration(&self) -> ConfigurationClient<GrpcChannel> {
        ConfigurationClient::new(self.credential.attach(self.channel.clone()))
    }

    /// As somebody without the credential may try it.
    pub(crate) fn bare_configuration(&self) -> ConfigurationClient<GrpcChannel> {
        ConfigurationClient::new(self.channel.clone())
    }

    /// Creates a webhook for these projects as the administrator of acme.
    pub(crate) async fn create(&self, projects: Option<&[i64]>) -> Webhook {
        let request = CreateWebhookRequest { projects: list(projects), ..good() };
        self.webhooks().create_webhook(with(ADMIN, request)).await.unwrap().into_inner().webhook.unwrap()
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("subscription.db")
    }
}

static CREDENTIAL: LazyLock<ServiceCredential> = LazyLock::new(|| ServiceCredential::random(&SystemIds));

/// The service on the store in `folder`, with a secrets key made of `key`.
pub(crate) async fn run(folder: &TempDir, key: u8, clock: Arc<ManualClock>) -> Result<Subscription, StartError> {
    let parts = Parts {
        store: open_sqlite(&folder.path().join("subscription.db"), true).await.unwrap(),
        secrets: SecretBox::new(&[key; 32]),
        policy: AddressPolicy::default(),
        resolver: Arc::new(Hosts),
        credential: CREDENTIAL.clone(),
        clock,
        ids: Arc::new(SystemIds),
    };
    subscription::start(parts, &Tasks::new()).await
}

/// A request that is right in every field.
pub(crate) fn good() -> CreateWebhookRequest {
    CreateWebhookRequest {
        name: "CI".into(),
        url: "https://example.com/hook".into(),
        r#type: "generic".into(),
        events: vec!["run.completed".into()],
        projects: None,
        allow_insecure: false,
    }
}

pub(crate) fn list(projects: Option<&[i64]>) -> Option<ProjectList> {
    projects.map(|projects| ProjectList { ids: projects.to_vec() })
}

/// A request with a token.
pub(crate) fn with<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

pub(crate) fn error<T>(answer: Result<Response<T>, Status>) -> ApiError {
    ApiError::from(&answer.err().expect("the call is refused"))
}

pub(crate) fn code<T>(answer: &Result<Response<T>, Status>) -> Option<ErrorCode> {
    answer.as_ref().err().map(|status| ApiError::from(status).code)
}
