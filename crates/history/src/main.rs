//! The program `testmo-history`: the service with PostgreSQL and RabbitMQ behind it.

use std::{process::ExitCode, sync::Arc, time::Duration};

use broker::{
    Broker,
    rabbitmq::{RabbitMq, RabbitMqConfig},
};
use domain::{Clock as _, SystemClock, SystemIds};
use history::Parts;
use runtime::{Context, Failure, Health, Program, RemoteAuthenticator, Serves, config::Config};

fn main() -> ExitCode {
    runtime::service("testmo-history", Serves { http: false, grpc: true }, assemble)
}

async fn assemble(context: Context) -> Result<Program, Failure> {
    let config = &context.config;
    let database = Config::require("database.url", config.database.url.as_ref())?;
    let url = Config::require("broker.url", config.broker.url.as_ref())?;
    let subscription = context.subscription()?;
    let store = history::store::open_postgres(database.reveal(), context.migrate).await?;
    let delays = config.delivery.retry_schedule.0.waits().to_vec();
    let broker = RabbitMq::connect(RabbitMqConfig {
        connection_name: "testmo-history".to_owned(),
        now: Some(Arc::new(|| SystemClock.now().as_micros())),
        ca_file: config.broker.ca_file.clone(),
        ..RabbitMqConfig::new(url.reveal(), delays)
    })
    .await?;
    let mut health = Health::default();
    health.watch("database", &store, |store| async move { store.ping().await.map_err(|error| error.to_string()) });
    health.watch("broker", &broker, |broker| async move { broker.check().await });
    let parts = Parts {
        store,
        broker: Arc::clone(&broker) as Arc<dyn Broker>,
        consume_records: true,
        configuration: subscription.clone(),
        authenticator: Arc::new(RemoteAuthenticator::new(subscription)),
        credential: context.credential,
        clock: Arc::new(SystemClock),
        ids: Arc::new(SystemIds),
        deactivate_after: config.delivery.deactivate_after.0,
    };
    Ok(Program {
        grpc: history::start(parts, &context.tasks),
        http: None,
        health,
        tasks: context.tasks,
        patience: Duration::from_secs(10),
        at_end: vec![Box::pin(async move { broker.close().await })],
    })
}
