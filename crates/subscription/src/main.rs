//! The program `testmo-subscription`: the service with PostgreSQL behind it, and the gateway.

use std::{process::ExitCode, sync::Arc, time::Duration};

use domain::{InstanceId, Role, SystemClock, SystemIds};
use proto::channel::LocalServices;
use runtime::{
    Context, Failure, Health, Program, Serves, SystemResolver,
    config::{Auth, Config},
};
use subscription::{EnsureTokenError, EnsuredToken, JwtVerifier, Parts, SecretBox, Subscription};

fn main() -> ExitCode {
    runtime::service("testmo-subscription", Serves { http: true, grpc: true }, assemble)
}

async fn assemble(context: Context) -> Result<Program, Failure> {
    let config = &context.config;
    let url = Config::require("database.url", config.database.url.as_ref())?;
    let key_file = Config::require("secrets.key_file", config.secrets.key_file.as_ref())?;
    let secrets = SecretBox::load(key_file)?;
    let jwt = JwtVerifier::from_config(&config.auth)?;
    let history = context.channel("services.history", config.services.history.as_ref())?;
    let store = subscription::store::open_postgres(url.reveal(), context.migrate).await?;
    let mut health = Health::default();
    // The smallest question that the service itself asks.
    health.watch("database", &store, |store| async move {
        store.token_by_hash(&[0; 32]).await.map(drop).map_err(|error| error.to_string())
    });
    let parts = Parts {
        store,
        secrets,
        jwt,
        policy: config.delivery.address_policy(),
        resolver: Arc::new(SystemResolver),
        history: context.credential.attach(history.clone()),
        credential: context.credential.clone(),
        clock: Arc::new(SystemClock),
        ids: Arc::new(SystemIds),
    };
    let service = subscription::start(parts, &context.tasks).await?;
    bootstrap(&service, &config.auth).await?;
    let local = LocalServices::default();
    local.set(service.routes.clone());
    let router = subscription::rest(local.channel(), history, service.sessions)?;
    Ok(Program {
        grpc: service.routes,
        http: Some(router),
        health,
        tasks: context.tasks,
        patience: Duration::from_secs(10),
        at_end: Vec::new(),
    })
}

/// The first tokens, where they are configured.
async fn bootstrap(service: &Subscription, auth: &Auth) -> Result<(), Failure> {
    for (key, path, name, role) in [
        ("bootstrap_token_file", &auth.bootstrap_token_file, "bootstrap administrator", Role::SystemAdmin),
        (
            "bootstrap_publisher_token_file",
            &auth.bootstrap_publisher_token_file,
            "bootstrap publisher",
            Role::Publisher,
        ),
    ] {
        let Some(path) = path else { continue };
        let shown = path.display();
        let text =
            std::fs::read_to_string(path).map_err(|error| format!("cannot read {shown} (auth.{key}): {error}"))?;
        let ensured = service.ensure_token(text.trim(), name, role, Some(InstanceId::default())).await;
        let ensured = ensured.map_err(|error| match error {
            EnsureTokenError::Text(_) => format!("{error}; put such a text into {shown} (auth.{key})").into(),
            error => Failure::from(error),
        })?;
        if ensured == EnsuredToken::Ended {
            tracing::warn!(path = %shown, "the token `{name}` was revoked or has expired; it opens nothing");
        }
    }
    Ok(())
}
