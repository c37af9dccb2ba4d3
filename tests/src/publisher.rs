//! Publishing events over gRPC, as Testmo core does.

use std::time::{Duration, Instant};

use bytes::{Buf, BufMut};
use prost::Message as _;
use proto::v1::{
    Event, PublishBatchRequest, PublishRequest, PublishResult, PublishStreamResponse, events_client::EventsClient,
};
use tonic::{
    Code, Request, Response, Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::http::uri::PathAndQuery,
    metadata::{Ascii, MetadataValue},
    transport::Channel,
};

use crate::{grpc, wait::pause};

/// Between two tries of what was answered UNAVAILABLE.
const AGAIN: Duration = Duration::from_millis(100);

/// A gRPC client with an address and, usually, a token.
#[derive(Clone, Debug)]
pub struct Publisher {
    channel: Channel,
    authorization: Option<MetadataValue<Ascii>>,
}

impl Publisher {
    /// A client that connects when it is first used, and again whenever it must.
    #[must_use]
    pub fn new(address: &str, token: Option<&str>) -> Self {
        Self::over_tls(address, token, None)
    }

    /// The same; `root` is the certificate (PEM) that `https://` is trusted by.
    #[must_use]
    pub fn over_tls(address: &str, token: Option<&str>, root: Option<&str>) -> Self {
        let channel = grpc::channel(address, root);
        let authorization = token.map(|token| format!("Bearer {token}").parse().expect("a token in ASCII"));
        Self { channel, authorization }
    }

    /// Publishes one event; its id.
    ///
    /// # Errors
    /// The server's answer.
    pub async fn publish(&self, event: Event) -> Result<String, Status> {
        let request = self.request(PublishRequest { event: Some(event) });
        EventsClient::new(self.channel.clone()).publish(request).await.map(|answer| answer.into_inner().id)
    }

    /// Publishes one event with this `traceparent`; its id.
    ///
    /// # Errors
    /// The server's answer.
    pub async fn publish_traced(&self, event: Event, traceparent: &str) -> Result<String, Status> {
        let mut request = self.request(PublishRequest { event: Some(event) });
        request.metadata_mut().insert("traceparent", traceparent.parse().expect("a header in ASCII"));
        EventsClient::new(self.channel.clone()).publish(request).await.map(|answer| answer.into_inner().id)
    }

    /// Publishes up to 1,000 events; a result for each.
    ///
    /// # Errors
    /// The server's answer to the batch as a whole.
    pub async fn publish_batch(&self, events: Vec<Event>) -> Result<Vec<PublishResult>, Status> {
        let request = self.request(PublishBatchRequest { events });
        EventsClient::new(self.channel.clone()).publish_batch(request).await.map(|answer| answer.into_inner().results)
    }

    /// Publishes events, in batches of `batch`, until each is accepted: what was answered UNAVAILABLE (or that there is
    /// too much just now) again with the same id. Panics on any other error, and after `timeout`.
    pub async fn publish_all(&self, events: &[Event], batch: usize, timeout: Duration) {
        let start = Instant::now();
        for events in events.chunks(batch) {
            let mut left = events.to_vec();
            loop {
                left = match self.publish_batch(left.clone()).await {
                    Ok(results) => not_taken(left, &results),
                    Err(status) if may_repeat(status.code()) || is_lost(&status) => left,
                    Err(status) => panic!("a batch was refused: {status}"),
                };
                if left.is_empty() {
                    break;
                }
                assert!(start.elapsed() < timeout, "{} events not accepted within {timeout:?}", left.len());
                pause(AGAIN).await;
            }
        }
    }

    /// Whether the server knows the token: an empty batch is then at worst invalid.
    pub async fn is_known(&self) -> bool {
        let answer = self.publish_batch(Vec::new()).await;
        !answer.is_err_and(|status| matches!(status.code(), Code::Unauthenticated | Code::Unavailable))
    }

    /// Calls `Publish` with these bytes as the message.
    ///
    /// # Errors
    /// The server's answer.
    pub async fn publish_bytes(&self, message: Vec<u8>) -> Result<Vec<u8>, Status> {
        let mut client = tonic::client::Grpc::new(self.channel.clone());
        client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let path = PathAndQuery::from_static("/testmo.webhooks.v1.Events/Publish");
        client.unary(self.request(message), path, BytesCodec).await.map(Response::into_inner)
    }

    /// Calls `PublishStream` with these bytes as the messages; the answers that came, and how the stream ended.
    pub async fn publish_stream(&self, messages: Vec<Vec<u8>>) -> (Vec<PublishStreamResponse>, Option<Status>) {
        let mut client = tonic::client::Grpc::new(self.channel.clone());
        if let Err(error) = client.ready().await {
            return (Vec::new(), Some(Status::unavailable(error.to_string())));
        }
        let path = PathAndQuery::from_static("/testmo.webhooks.v1.Events/PublishStream");
        let request = self.request(futures::stream::iter(messages));
        let mut stream = match client.streaming(request, path, BytesCodec).await {
            Ok(answer) => answer.into_inner(),
            Err(status) => return (Vec::new(), Some(status)),
        };
        let mut answers = Vec::new();
        loop {
            match stream.message().await {
                Ok(Some(bytes)) => answers.push(PublishStreamResponse::decode(bytes.as_slice()).expect("an answer")),
                Ok(None) => return (answers, None),
                Err(status) => return (answers, Some(status)),
            }
        }
    }

    /// A request with this client's token.
    pub fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(authorization) = &self.authorization {
            request.metadata_mut().insert("authorization", authorization.clone());
        }
        request
    }
}

fn may_repeat(code: Code) -> bool {
    matches!(code, Code::Unavailable | Code::ResourceExhausted)
}

/// Whether the connection broke, so that there was no answer: an answer has no source.
fn is_lost(status: &Status) -> bool {
    std::error::Error::source(status).is_some()
}

/// The events whose result says that they may be published again.
fn not_taken(events: Vec<Event>, results: &[PublishResult]) -> Vec<Event> {
    assert_eq!(results.len(), events.len(), "a batch is answered with a result for each event");
    let mut left = Vec::new();
    for (event, result) in events.into_iter().zip(results) {
        match &result.error {
            None => assert_eq!(result.id, event.id, "results come in the order of the events"),
            Some(error) if may_repeat(Code::from_i32(error.code)) => left.push(event),
            Some(error) => panic!("event {} was refused: {error:?}", event.id),
        }
    }
    left
}

/// Sends and receives messages as the bytes that they are.
struct BytesCodec;

impl Codec for BytesCodec {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for BytesCodec {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, target: &mut EncodeBuf<'_>) -> Result<(), Status> {
        target.put_slice(&item);
        Ok(())
    }
}

impl Decoder for BytesCodec {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, source: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        Ok(Some(source.copy_to_bytes(source.remaining()).to_vec()))
    }
}
