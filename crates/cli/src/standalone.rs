//! All four services in one process, talking through the same gRPC services as elsewhere, without sockets.

use std::{
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use broker::{
    Broker,
    embedded::{Embedded, EmbeddedOptions},
    rabbitmq::{RabbitMq, RabbitMqConfig},
};
use domain::{Clock, IdSource, InstanceId, Role, SystemClock, SystemIds};
use proto::channel::{GrpcChannel, LocalServices};
use runtime::{Health, Program, ServiceCredential, SystemResolver, Tasks, config::Config};
use subscription::{EnsuredToken, SecretBox, Subscription};
use tonic::service::Routes;

/// Files that the program needs and makes where they are missing.
#[derive(Debug, Default)]
pub(crate) struct Files {
    /// What was made now, and where it is.
    pub(crate) made: Vec<(&'static str, PathBuf)>,
}

/// Puts the services together.
pub(crate) async fn assemble(config: &Config, migrate: bool, tasks: Tasks) -> anyhow::Result<(Program, Files)> {
    let data = &config.data.dir;
    std::fs::create_dir_all(data)
        .with_context(|| format!("cannot make the data folder {} (data.dir)", data.display()))?;
    let mut files = Files::default();
    let credential = ServiceCredential::random(&SystemIds);
    let local = LocalServices::default();
    let internal = credential.attach(local.channel());
    let broker = open_broker(config).await?;

    let subscription = open_subscription(config, migrate, &mut files, &credential, &tasks).await?;
    let (history, history_store) =
        open_history(config, migrate, &broker, &internal, &subscription, credential, &tasks).await?;
    let ingest = ingest::start(ingest::Parts {
        broker: Arc::clone(&broker),
        authenticator: Arc::clone(&subscription.authenticator),
        clock: Arc::new(SystemClock),
        ids: Arc::new(SystemIds),
    });
    let routes = merge([subscription.routes, history, ingest]);
    local.set(routes.clone());

    let settings = dispatcher::Settings::from_config(&config.delivery)?;
    let patience = settings.timeout + Duration::from_secs(5);
    let records = if config.broker.url.is_some() {
        dispatcher::broker_sink(Arc::clone(&broker), Arc::new(SystemIds))
    } else {
        dispatcher::direct_sink(internal.clone())
    };
    let dispatcher = dispatcher::start(
        dispatcher::Parts {
            broker: Arc::clone(&broker),
            records,
            history: internal.clone(),
            configuration: internal,
            resolver: Arc::new(SystemResolver),
            clock: Arc::new(SystemClock),
            settings,
        },
        &tasks,
    )?;
    let router = subscription::rest(local.channel(), local.channel())?;
    let health = health(&broker, dispatcher, &history_store);
    let at_end: Vec<futures::future::BoxFuture<'static, ()>> = vec![Box::pin(async move { broker.close().await })];
    Ok((Program { grpc: routes, http: Some(router), health, tasks, patience, at_end }, files))
}

fn merge(services: [Routes; 3]) -> Routes {
    let [first, second, third] = services.map(Routes::into_axum_router);
    // Each answers unknown methods by itself; merged, only one can.
    Routes::from(first.merge(second.reset_fallback()).merge(third.reset_fallback()))
}

async fn open_broker(config: &Config) -> anyhow::Result<Arc<dyn Broker>> {
    let delays = config.delivery.retry_schedule.0.waits().to_vec();
    if let Some(url) = &config.broker.url {
        return Ok(RabbitMq::connect(RabbitMqConfig::new(url.reveal(), delays)).await?);
    }
    let options = EmbeddedOptions::new(delays, Arc::new(|| SystemClock.now().as_micros()));
    Ok(Embedded::open(&config.data.dir.join("queue.db"), options).await?)
}

async fn open_subscription(
    config: &Config,
    migrate: bool,
    files: &mut Files,
    credential: &ServiceCredential,
    tasks: &Tasks,
) -> anyhow::Result<Subscription> {
    let data = &config.data.dir;
    let store = match &config.database.url {
        Some(url) => subscription::store::open_postgres(url.reveal(), migrate).await?,
        None => subscription::store::open_sqlite(&data.join("subscription.db"), migrate).await?,
    };
    let key_file = match &config.secrets.key_file {
        Some(path) => path.clone(),
        None => files.ensure("secrets key", data.join("secrets.key"), || {
            let mut key = [0; 32];
            SystemIds.fill(&mut key);
            STANDARD.encode(key)
        })?,
    };
    let parts = subscription::Parts {
        store,
        secrets: SecretBox::load(&key_file)?,
        policy: config.delivery.address_policy(),
        resolver: Arc::new(SystemResolver),
        credential: credential.clone(),
        clock: Arc::new(SystemClock),
        ids: Arc::new(SystemIds),
    };
    let subscription = subscription::start(parts, tasks).await?;
    let admin = match &config.auth.bootstrap_token_file {
        Some(path) => path.clone(),
        None => files.ensure("administrator token", data.join("admin.token"), new_token)?,
    };
    let publisher = files.ensure("publisher token", data.join("publisher.token"), new_token)?;
    ensure(&subscription, &admin, "bootstrap administrator", Role::SystemAdmin).await?;
    ensure(&subscription, &publisher, "standalone publisher", Role::Publisher).await?;
    Ok(subscription)
}

/// The history service, and its store for the readiness check.
async fn open_history(
    config: &Config,
    migrate: bool,
    broker: &Arc<dyn Broker>,
    internal: &GrpcChannel,
    subscription: &Subscription,
    credential: ServiceCredential,
    tasks: &Tasks,
) -> anyhow::Result<(Routes, Arc<dyn history::store::Store>)> {
    let store = match &config.database.url {
        Some(url) => history::store::open_postgres(url.reveal(), migrate).await?,
        None => history::store::open_sqlite(&config.data.dir.join("history.db"), migrate).await?,
    };
    let parts = history::Parts {
        store: Arc::clone(&store),
        broker: Arc::clone(broker),
        // On the embedded queue records come straight over gRPC.
        consume_records: config.broker.url.is_some(),
        configuration: internal.clone(),
        authenticator: Arc::clone(&subscription.authenticator),
        credential,
        clock: Arc::new(SystemClock),
        ids: Arc::new(SystemIds),
    };
    Ok((history::start(parts, tasks), store))
}

async fn ensure(subscription: &Subscription, path: &Path, name: &str, role: Role) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read the token in {}", path.display()))?;
    let ensured = subscription.ensure_token(text.trim(), name, role, Some(InstanceId::default())).await?;
    if ensured == EnsuredToken::Ended {
        tracing::warn!(path = %path.display(), "the token in this file was revoked or has expired; it opens nothing");
    }
    Ok(())
}

fn new_token() -> String {
    let mut bytes = [0; 20];
    SystemIds.fill(&mut bytes);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("tmwh_{hex}")
}

impl Files {
    /// The path, with a file there that only its owner can read.
    fn ensure(&mut self, what: &'static str, path: PathBuf, text: impl FnOnce() -> String) -> anyhow::Result<PathBuf> {
        let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        match made {
            Ok(mut file) => {
                writeln!(file, "{}", text())
                    .and_then(|()| file.sync_all())
                    .with_context(|| format!("cannot write {}", path.display()))?;
                self.made.push((what, path.clone()));
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error).with_context(|| format!("cannot make {}", path.display())),
        }
        Ok(path)
    }
}

fn health(
    broker: &Arc<dyn Broker>,
    dispatcher: dispatcher::Dispatcher,
    store: &Arc<dyn history::store::Store>,
) -> Health {
    let mut health = Health::default();
    health.watch("broker", broker, |broker| async move { broker.check().await });
    health.watch("webhooks", &Arc::new(dispatcher), |dispatcher| async move { dispatcher.check() });
    health.watch("history", store, |store| async move { store.ping().await.map_err(|error| error.to_string()) });
    health
}
