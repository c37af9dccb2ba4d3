//! Messages put straight into the queues, past ingest: over AMQP, or into the file of the embedded queue.

use std::process::Stdio;

use blackbox::{
    product::{Mode, Product, Service},
    random, run, servers,
};
use lapin::{
    BasicProperties, Connection, ConnectionProperties,
    options::{BasicPublishOptions, ConfirmSelectOptions},
    types::{AMQPValue, FieldTable},
};
use serde_json::json;

use crate::stock_tools;

/// A message to put into a queue.
pub(crate) struct Message {
    pub(crate) id: String,
    /// A lane, or with RabbitMQ the rest of any queue's name.
    pub(crate) queue: &'static str,
    pub(crate) body: Vec<u8>,
    /// Put it among the parked ones, with this reason.
    pub(crate) parked: Option<&'static str>,
}

impl Message {
    /// To be consumed.
    pub(crate) fn new(queue: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { id: random::uuid().to_string(), queue, body: body.into(), parked: None }
    }

    /// As if it had been parked.
    pub(crate) fn parked(lane: &'static str, body: impl Into<Vec<u8>>, reason: &'static str) -> Self {
        Self { parked: Some(reason), ..Self::new(lane, body) }
    }
}

/// Puts messages into their queues; embedded, the program is stopped for it.
pub(crate) async fn put(product: &mut Product, messages: &[Message]) {
    match product.mode() {
        Mode::Distributed => {
            publish(product.setting(Service::Ingest, "broker.url").expect("RabbitMQ's address"), messages).await;
        }
        Mode::Embedded => {
            product.stop(Service::Standalone).await;
            write(product, messages).await;
            product.resume(Service::Standalone).await;
        }
    }
}

async fn publish(url: &str, messages: &[Message]) {
    let connection = Connection::connect(url, ConnectionProperties::default()).await.expect("RabbitMQ listens");
    let channel = connection.create_channel().await.expect("a channel");
    channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
    for message in messages {
        let mut headers = FieldTable::default();
        if let Some(reason) = message.parked {
            headers.insert("reason".into(), AMQPValue::LongString(reason.into()));
        }
        let properties = BasicProperties::default()
            .with_delivery_mode(2)
            .with_message_id(message.id.as_str().into())
            .with_headers(headers);
        // The default exchange leads to the queue of that name; the one of dead letters, to the parked queue.
        let exchange = if message.parked.is_some() { "wh.dead" } else { "" };
        let key = format!("wh.{}", message.queue);
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let confirm = channel.basic_publish(exchange.into(), key.as_str().into(), options, &message.body, properties);
        let confirm = confirm.await.expect("a message sent").await.expect("a confirm");
        assert!(confirm.is_ack() && confirm.take_message().is_none(), "not taken by {key}");
    }
    connection.close(200, "done".into()).await.expect("an orderly end");
}

async fn write(product: &Product, messages: &[Message]) {
    let folder = run::folder("enqueue");
    let lines = messages.iter().map(|message| {
        let body = hex::encode(&message.body);
        json!({"id": message.id, "lane": message.queue, "body": body, "parked": message.parked}).to_string() + "\n"
    });
    let input = folder.join("messages");
    std::fs::write(&input, lines.collect::<String>()).expect("a new file");
    let data = product.setting(Service::Standalone, "data.dir").expect("the data folder");
    let mut command = stock_tools::python(&folder);
    command.arg(stock_tools::scripts_folder().join("enqueue.py")).arg(format!("{data}/queue.db"));
    command.stdin(Stdio::from(std::fs::File::open(&input).expect("the file just written")));
    stock_tools::output(command, "enqueue.py").await;
    servers::blocking(move || run::remove(&folder)).await;
}
