//! All four services in one process, talking through the same gRPC services as elsewhere, without sockets.
//!
//! `check.rs` refuses what can be refused before anything is written, `files.rs` writes what the first start needs.

mod check;
mod files;
#[cfg(test)]
mod tests;

use std::{
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
use runtime::{Health, Program, Resolver, ServiceCredential, Tasks, config::Config};
use subscription::{EnsuredToken, JwtVerifier, SecretBox, StartError, Subscription};

use files::Folder;
pub(crate) use files::token_in;

/// The key that signing secrets are encrypted with, in the data folder.
pub(crate) const KEY: &str = "secrets.key";
/// The embedded database of the subscription service, in the data folder.
pub(crate) const SUBSCRIPTION: &str = "subscription.db";
/// The first administrator's token, in the data folder.
const ADMIN_TOKEN: &str = "admin.token";
/// A publisher's token, in the data folder.
const PUBLISHER_TOKEN: &str = "publisher.token";

/// Stores of the services.
struct Stores {
    subscription: Arc<dyn subscription::store::Store>,
    history: Arc<dyn history::store::Store>,
}

/// Puts the services together. With `announce` it prints where it has written what it made; `resolver` looks up the
/// hosts of webhooks, when they are saved and when they are delivered to.
pub(crate) async fn assemble(
    config: &Config,
    migrate: bool,
    announce: bool,
    resolver: Arc<dyn Resolver>,
    tasks: Tasks,
) -> anyhow::Result<Program> {
    let settings = check::check(config)?;
    // Servers that cannot be reached are found out before anything is written here.
    let (connected_broker, connected_stores) = (connect_broker(config).await?, connect_stores(config, migrate).await?);
    let folder = Folder::ensure(&config.data.dir, announce)?;
    let credential = ServiceCredential::random(&SystemIds);
    let local = LocalServices::default();
    let internal = credential.attach(local.channel());
    let stores = match connected_stores {
        Some(stores) => stores,
        None => open_stores(migrate, &folder).await?,
    };
    let broker = match connected_broker {
        Some(broker) => broker,
        None => open_broker(config, &folder).await?,
    };

    let subscription =
        start_subscription(config, stores.subscription, Arc::clone(&resolver), &folder, &credential, &local, &tasks)
            .await?;
    let history = history::Parts {
        store: Arc::clone(&stores.history),
        broker: Arc::clone(&broker),
        // On the embedded queue records come straight over gRPC.
        consume_records: config.broker.url.is_some(),
        configuration: internal.clone(),
        authenticator: Arc::clone(&subscription.authenticator),
        credential,
        clock: Arc::new(SystemClock),
        ids: Arc::new(SystemIds),
        deactivate_after: config.delivery.deactivate_after.0,
    };
    let history = history::start(history, &tasks);
    let ingest = ingest::Parts {
        broker: Arc::clone(&broker),
        authenticator: Arc::clone(&subscription.authenticator),
        clock: Arc::new(SystemClock),
        ids: Arc::new(SystemIds),
    };
    let ingest = ingest::start(ingest, config.publishing, &tasks);
    let routes = runtime::merged(subscription.routes, [history, ingest]);
    local.set(routes.clone());

    let patience = settings.timeout + Duration::from_secs(5);
    let dispatcher = start_dispatcher(config, settings, &broker, internal, resolver, &tasks)?;
    let router = subscription::rest(local.channel(), local.channel(), subscription.sessions)?;
    let health = health(&broker, dispatcher, &stores.history);
    let at_end: Vec<futures::future::BoxFuture<'static, ()>> = vec![Box::pin(async move { broker.close().await })];
    Ok(Program { grpc: routes, http: Some(router), health, tasks, patience, at_end })
}

async fn connect_stores(config: &Config, migrate: bool) -> anyhow::Result<Option<Stores>> {
    let Some(url) = &config.database.url else { return Ok(None) };
    let subscription = subscription::store::open_postgres(url.reveal(), migrate).await?;
    Ok(Some(Stores { subscription, history: history::store::open_postgres(url.reveal(), migrate).await? }))
}

async fn open_stores(migrate: bool, folder: &Folder) -> anyhow::Result<Stores> {
    let subscription = folder.database(SUBSCRIPTION, migrate)?;
    let subscription = subscription::store::open_sqlite(&subscription, migrate).await?;
    let history = history::store::open_sqlite(&folder.database("history.db", migrate)?, migrate).await?;
    Ok(Stores { subscription, history })
}

async fn connect_broker(config: &Config) -> anyhow::Result<Option<Arc<dyn Broker>>> {
    let Some(url) = &config.broker.url else { return Ok(None) };
    Ok(Some(
        RabbitMq::connect(RabbitMqConfig {
            now: Some(Arc::new(|| SystemClock.now().as_micros())),
            ca_file: config.broker.ca_file.clone(),
            ..RabbitMqConfig::new(url.reveal(), delays(config))
        })
        .await?,
    ))
}

async fn open_broker(config: &Config, folder: &Folder) -> anyhow::Result<Arc<dyn Broker>> {
    let options = EmbeddedOptions::new(delays(config), Arc::new(|| SystemClock.now().as_micros()));
    Ok(Embedded::open(&folder.database("queue.db", true)?, options).await?)
}

fn delays(config: &Config) -> Vec<Duration> {
    config.delivery.retry_schedule.0.waits().to_vec()
}

async fn start_subscription(
    config: &Config,
    store: Arc<dyn subscription::store::Store>,
    resolver: Arc<dyn Resolver>,
    folder: &Folder,
    credential: &ServiceCredential,
    local: &LocalServices,
    tasks: &Tasks,
) -> anyhow::Result<Subscription> {
    let (key_file, key_made) = named_or(config.secrets.key_file.as_ref(), || {
        folder.text("secrets key", KEY, || {
            let mut key = [0; 32];
            SystemIds.fill(&mut key);
            STANDARD.encode(key)
        })
    })?;
    let parts = subscription::Parts {
        store,
        secrets: SecretBox::load(&key_file)?,
        jwt: JwtVerifier::from_config(&config.auth)?,
        policy: config.delivery.address_policy(),
        resolver,
        history: credential.attach(local.channel()),
        credential: credential.clone(),
        clock: Arc::new(SystemClock),
        ids: Arc::new(SystemIds),
    };
    let subscription = match subscription::start(parts, tasks).await {
        // The database has a key of its own, which the new one must not be taken for.
        Err(error @ StartError::WrongKey { .. }) if key_made => {
            let removed = std::fs::remove_file(&key_file);
            let fate = removed
                .map_or_else(|error| format!("cannot be removed again: {error}"), |()| "is removed again".into());
            return Err(error).with_context(|| format!("the key just written to {} {fate}", key_file.display()));
        }
        started => started?,
    };
    let bootstrap = config.auth.bootstrap_token_file.as_ref();
    let (admin, _) = named_or(bootstrap, || folder.text("administrator token", ADMIN_TOKEN, new_token))?;
    let bootstrap = config.auth.bootstrap_publisher_token_file.as_ref();
    let (publisher, _) = named_or(bootstrap, || folder.text("publisher token", PUBLISHER_TOKEN, new_token))?;
    ensure(&subscription, &admin, "bootstrap administrator", Role::SystemAdmin).await?;
    ensure(&subscription, &publisher, "standalone publisher", Role::Publisher).await?;
    Ok(subscription)
}

/// The file that is configured, or else the own one; and whether it was made now.
fn named_or(
    named: Option<&PathBuf>,
    own: impl FnOnce() -> anyhow::Result<(PathBuf, bool)>,
) -> anyhow::Result<(PathBuf, bool)> {
    named.map_or_else(own, |path| Ok((path.clone(), false)))
}

fn start_dispatcher(
    config: &Config,
    settings: dispatcher::Settings,
    broker: &Arc<dyn Broker>,
    internal: GrpcChannel,
    resolver: Arc<dyn Resolver>,
    tasks: &Tasks,
) -> anyhow::Result<dispatcher::Dispatcher> {
    let records = if config.broker.url.is_some() {
        dispatcher::broker_sink(Arc::clone(broker), Arc::new(SystemIds))
    } else {
        dispatcher::direct_sink(internal.clone())
    };
    let parts = dispatcher::Parts {
        broker: Arc::clone(broker),
        records,
        history: internal.clone(),
        configuration: internal,
        resolver,
        clock: Arc::new(SystemClock),
        settings,
    };
    Ok(dispatcher::start(parts, tasks)?)
}

async fn ensure(subscription: &Subscription, path: &Path, name: &str, role: Role) -> anyhow::Result<()> {
    let ensured = subscription.ensure_token(&token_in(path)?, name, role, Some(InstanceId::default())).await?;
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
