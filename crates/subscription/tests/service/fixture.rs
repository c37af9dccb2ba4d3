//! The service in this process: its time, names and addresses set by the test.

use std::{
    io,
    net::IpAddr,
    path::PathBuf,
    sync::{Arc, LazyLock, Mutex},
};

use async_trait::async_trait;
use domain::{AddressPolicy, InstanceId, ManualClock, Role, SystemIds, Timestamp};
use proto::{
    channel::{GrpcChannel, LocalServices},
    error::{ApiError, ErrorCode},
    internal::v1::configuration_client::ConfigurationClient,
    v1::{
        CreateWebhookRequest, DeleteProjectRequest, FieldChange, GetWebhookRequest, ListWebhookChangesRequest,
        ProjectList, PutProjectRequest, SetPlanRequest, UpdateWebhookRequest, UpdateWebhookResponse, Webhook,
        WebhookChange, instances_client::InstancesClient, webhooks_client::WebhooksClient,
    },
};
use runtime::{ServiceCredential, Tasks};
use subscription::{Parts, SecretBox, StartError, Subscription, store::open_sqlite};
use tempfile::TempDir;
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};

use crate::testing::Tests;

pub(crate) const NOON: Timestamp = Timestamp::from_micros(1_795_000_000_000_000);

pub(crate) const ADMIN: &str = "admin-of-acme-0123456789abcdef0123456789";
pub(crate) const PROJECT_ADMIN: &str = "project-admin-of-1-and-2-in-acme-0123456789";
pub(crate) const MEMBER: &str = "member-of-acme-0123456789abcdef0123456789";
pub(crate) const PUBLISHER: &str = "publisher-of-acme-0123456789abcdef0123456789";
pub(crate) const EVERYWHERE: &str = "publisher-for-all-0123456789abcdef0123456789";
pub(crate) const STRANGER: &str = "admin-of-other-0123456789abcdef0123456789";
pub(crate) const OPERATOR: &str = "admin-of-default-0123456789abcdef0123456789";
pub(crate) const NOBODY: &str = "not-a-token";

/// Knows the hosts of `HOSTS` and no others; remembers which it was asked for. Those that start with `slow` are answered
/// when the gate has a permit.
pub(crate) struct Hosts {
    pub(crate) gate: Semaphore,
    asked: Mutex<Vec<String>>,
}

impl Hosts {
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

const HOSTS: &[(&str, &[&str])] = &[
    ("example.com", &["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"]),
    ("other.example", &["93.184.215.15"]),
    ("slow.example", &["93.184.215.16"]),
    ("slow-inside.example", &["10.0.0.6"]),
    ("mixed.example", &["93.184.215.14", "10.0.0.5"]),
    ("mixed6.example", &["2606:2800:21f:cb07:6820:80da:af6b:8b2c", "fd00::1"]),
    ("metadata.example", &["169.254.169.254"]),
    ("mapped.example", &["::ffff:127.0.0.1"]),
    ("none.example", &[]),
];

#[async_trait]
impl runtime::Resolver for Hosts {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        self.asked.lock().unwrap().push(host.to_owned());
        if host.starts_with("slow") {
            self.gate.acquire().await.unwrap().forget();
        }
        let (_, addresses) =
            HOSTS.iter().find(|(name, _)| *name == host).ok_or_else(|| io::Error::other("no such host"))?;
        Ok(addresses.iter().map(|address| address.parse().unwrap()).collect())
    }
}

pub(crate) struct Fixture {
    pub(crate) folder: TempDir,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) hosts: Arc<Hosts>,
    pub(crate) subscription: Subscription,
    /// What history is to send.
    pub(crate) tests: Tests,
    credential: ServiceCredential,
    channel: GrpcChannel,
}

impl Fixture {
    /// The service on an empty store, and a token of each kind.
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(NOON));
        let credential = CREDENTIAL.clone();
        let hosts = Arc::new(Hosts { gate: Semaphore::new(0), asked: Mutex::default() });
        let tests = Tests::default();
        let subscription = run_with(&folder, 7, Arc::clone(&clock), Arc::clone(&hosts), tests.channel()).await.unwrap();
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
        Self { folder, clock, hosts, subscription, tests, credential, channel: services.channel() }
    }

    pub(crate) fn webhooks(&self) -> WebhooksClient<GrpcChannel> {
        WebhooksClient::new(self.channel.clone())
    }

    pub(crate) fn instances(&self) -> InstancesClient<GrpcChannel> {
        InstancesClient::new(self.channel.clone())
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

    pub(crate) async fn create_from(&self, request: CreateWebhookRequest) -> Webhook {
        self.webhooks().create_webhook(with(ADMIN, request)).await.unwrap().into_inner().webhook.unwrap()
    }

    /// Reads a webhook as the administrator of acme.
    pub(crate) async fn get(&self, id: i64) -> Webhook {
        let answer = self.webhooks().get_webhook(with(ADMIN, GetWebhookRequest { id })).await.unwrap();
        answer.into_inner().webhook.unwrap()
    }

    /// Changes a webhook as the administrator of acme.
    pub(crate) async fn update(&self, request: UpdateWebhookRequest) -> Result<UpdateWebhookResponse, ApiError> {
        let answer = self.webhooks().update_webhook(with(ADMIN, request)).await;
        answer.map(Response::into_inner).map_err(|status| ApiError::from(&status))
    }

    /// The change log of a webhook, newest first.
    pub(crate) async fn log(&self, id: i64) -> Vec<WebhookChange> {
        let request = ListWebhookChangesRequest { id, ..ListWebhookChangesRequest::default() };
        self.webhooks().list_webhook_changes(with(ADMIN, request)).await.unwrap().into_inner().changes
    }

    /// Tells the plan of acme; answers how many webhooks that deactivated.
    pub(crate) async fn set_plan(&self, plan: &str, version: i64) -> i64 {
        let request = SetPlanRequest { plan: plan.into(), version, ..SetPlanRequest::default() };
        let answer = self.instances().set_plan(with(PUBLISHER, request)).await.unwrap();
        answer.into_inner().deactivated_webhooks
    }

    /// Tells a project of acme.
    pub(crate) async fn put_project(&self, project_id: i64, name: &str, version: i64) {
        let url = format!("https://testmo.example/projects/{project_id}");
        let request = PutProjectRequest { project_id, name: name.into(), url, version, ..PutProjectRequest::default() };
        self.instances().put_project(with(PUBLISHER, request)).await.unwrap();
    }

    /// Tells that a project of acme was deleted; answers how many webhooks that deactivated.
    pub(crate) async fn delete_project(&self, project_id: i64, version: i64) -> i64 {
        let request = DeleteProjectRequest { project_id, version, ..DeleteProjectRequest::default() };
        let answer = self.instances().delete_project(with(PUBLISHER, request)).await.unwrap();
        answer.into_inner().deactivated_webhooks
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("subscription.db")
    }
}

static CREDENTIAL: LazyLock<ServiceCredential> = LazyLock::new(|| ServiceCredential::random(&SystemIds));

/// The service on the store in `folder`, with a secrets key made of `key`.
pub(crate) async fn run(folder: &TempDir, key: u8, clock: Arc<ManualClock>) -> Result<Subscription, StartError> {
    let hosts = Hosts { gate: Semaphore::new(0), asked: Mutex::default() };
    run_with(folder, key, clock, Arc::new(hosts), Tests::default().channel()).await
}

async fn run_with(
    folder: &TempDir,
    key: u8,
    clock: Arc<ManualClock>,
    hosts: Arc<Hosts>,
    history: GrpcChannel,
) -> Result<Subscription, StartError> {
    let parts = Parts {
        store: open_sqlite(&folder.path().join("subscription.db"), true).await.unwrap(),
        secrets: SecretBox::new(&[key; 32]),
        jwt: None,
        policy: AddressPolicy::default(),
        resolver: hosts,
        history,
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
        ..CreateWebhookRequest::default()
    }
}

pub(crate) fn list(projects: Option<&[i64]>) -> Option<ProjectList> {
    projects.map(|projects| ProjectList { ids: projects.to_vec() })
}

/// Field changes as texts, `name: "a" -> "b"`.
pub(crate) fn texts(changes: &[FieldChange]) -> Vec<String> {
    changes.iter().map(|change| format!("{}: {} -> {}", change.field, change.from_json, change.to_json)).collect()
}

/// Names of the fields at fault.
pub(crate) fn fields(error: &ApiError) -> Vec<&str> {
    error.fields.iter().map(|(field, _)| field.as_str()).collect()
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
