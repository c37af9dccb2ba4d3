//! The program `testmo-dispatcher`: the service with RabbitMQ behind it.

use std::{process::ExitCode, sync::Arc, time::Duration};

use broker::{
    Broker,
    rabbitmq::{RabbitMq, RabbitMqConfig},
};
use dispatcher::{Parts, Settings, broker_sink};
use domain::{Clock as _, SystemClock, SystemIds};
use runtime::{Context, Failure, Health, Program, Serves, SystemResolver, config::Config};

fn main() -> ExitCode {
    runtime::service("testmo-dispatcher", Serves { http: false, grpc: false }, assemble)
}

async fn assemble(context: Context) -> Result<Program, Failure> {
    let config = &context.config;
    let settings = Settings::from_config(&config.delivery)?;
    let (configuration, history) = (context.subscription()?, context.history()?);
    let url = Config::require("broker.url", config.broker.url.as_ref())?;
    let broker = RabbitMq::connect(RabbitMqConfig {
        connection_name: "testmo-dispatcher".to_owned(),
        now: Some(Arc::new(|| SystemClock.now().as_micros())),
        ca_file: config.broker.ca_file.clone(),
        ..RabbitMqConfig::new(url.reveal(), settings.schedule.waits().to_vec())
    })
    .await?;
    let port = Arc::clone(&broker) as Arc<dyn Broker>;
    let patience = settings.timeout + Duration::from_secs(5);
    let parts = Parts {
        broker: Arc::clone(&port),
        records: broker_sink(port, Arc::new(SystemIds)),
        history,
        configuration,
        resolver: Arc::new(SystemResolver),
        clock: Arc::new(SystemClock),
        settings,
    };
    let dispatcher = Arc::new(dispatcher::start(parts, &context.tasks)?);
    let mut health = Health::default();
    health.watch("broker", &broker, |broker| async move { broker.check().await });
    health.watch("webhooks", &dispatcher, |dispatcher| async move { dispatcher.check() });
    Ok(Program {
        grpc: tonic::service::Routes::default(),
        http: None,
        health,
        tasks: context.tasks,
        patience,
        at_end: vec![Box::pin(async move { broker.close().await })],
    })
}
