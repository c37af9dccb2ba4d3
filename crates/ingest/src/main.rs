//! The program `testmo-ingest`: the service with RabbitMQ behind it.

use std::{process::ExitCode, sync::Arc, time::Duration};

use broker::{
    Broker,
    rabbitmq::{RabbitMq, RabbitMqConfig},
};
use domain::{Clock as _, SystemClock, SystemIds};
use runtime::{Context, Failure, Health, Program, RemoteAuthenticator, Serves, config::Config};

fn main() -> ExitCode {
    runtime::service("testmo-ingest", Serves { http: false, grpc: true }, assemble)
}

async fn assemble(context: Context) -> Result<Program, Failure> {
    let config = &context.config;
    let subscription = context.subscription()?;
    let url = Config::require("broker.url", config.broker.url.as_ref())?;
    let delays = config.delivery.retry_schedule.0.waits().to_vec();
    let broker = RabbitMq::connect(RabbitMqConfig {
        connection_name: "testmo-ingest".to_owned(),
        now: Some(Arc::new(|| SystemClock.now().as_micros())),
        ca_file: config.broker.ca_file.clone(),
        ..RabbitMqConfig::new(url.reveal(), delays)
    })
    .await?;
    let parts = ingest::Parts {
        broker: Arc::clone(&broker) as Arc<dyn Broker>,
        authenticator: Arc::new(RemoteAuthenticator::new(subscription)),
        clock: Arc::new(SystemClock),
        ids: Arc::new(SystemIds),
    };
    let mut health = Health::default();
    health.watch("broker", &broker, |broker| async move { broker.check().await });
    Ok(Program {
        grpc: ingest::start(parts, config.publishing, &context.tasks),
        http: None,
        health,
        tasks: context.tasks,
        patience: Duration::from_secs(10),
        at_end: vec![Box::pin(async move { broker.close().await })],
    })
}
