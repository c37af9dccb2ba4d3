//! The gRPC face: one event, a batch, a stream; all of them go to the broker in batches.

use std::{pin::Pin, sync::Arc, time::Duration};

use broker::{Lane, Outgoing, PublishError};
use domain::Identity;
use futures::{Stream, StreamExt as _};
use opentelemetry::{KeyValue, metrics::Counter};
use prost::Message as _;
use proto::{
    error::{ApiError, ErrorCode},
    v1::{self, events_server::Events},
};
use tonic::{Request, Response, Status, Streaming};

use crate::{
    MAX_BATCH_BYTES, MAX_BATCH_EVENTS, Parts,
    accept::{Accepted, accept, may_publish},
};

/// Events of a stream that are published together, if so many are there.
const STREAM_CHUNK: usize = 128;
/// Chunks of a stream under way at once.
const STREAM_CHUNKS: usize = 4;

#[derive(Clone)]
pub(crate) struct Ingest {
    parts: Arc<Parts>,
    events: Counter<u64>,
}

type ResultStream = Pin<Box<dyn Stream<Item = Result<v1::PublishStreamResponse, Status>> + Send>>;

impl Ingest {
    pub(crate) fn new(parts: Parts) -> Self {
        let events = runtime::metrics("ingest")
            .u64_counter("webhooks.events.published")
            .with_description("Events by outcome: accepted, refused (by a rule), unavailable")
            .build();
        Self { parts: Arc::new(parts), events }
    }

    async fn caller<T>(&self, request: &Request<T>) -> Result<Identity, Status> {
        let caller = runtime::caller(&*self.parts.authenticator, request.metadata()).await?;
        may_publish(&caller)?;
        Ok(caller)
    }

    /// Publishes events; one result for each, in their order.
    async fn publish(&self, events: Vec<Option<v1::Event>>, caller: &Identity, trace: Option<&str>) -> Vec<Outcome> {
        let Parts { broker, clock, ids, .. } = &*self.parts;
        let mut outcomes = Vec::with_capacity(events.len());
        let mut messages = Vec::with_capacity(events.len());
        for event in events {
            let given_id = event.as_ref().map(|event| event.id.clone()).unwrap_or_default();
            match accept(event, caller, &**clock, &**ids) {
                Ok(Accepted { id, publish_id, body }) => {
                    messages.push(Outgoing {
                        lane: Lane::Events,
                        delay: Duration::ZERO,
                        body,
                        message_id: publish_id,
                        traceparent: trace.map(str::to_owned),
                    });
                    outcomes.push(Outcome { id: id.to_string(), error: None });
                }
                Err(error) => outcomes.push(Outcome { id: given_id, error: Some(error) }),
            }
        }
        if messages.is_empty() {
            self.count(&outcomes);
            return outcomes;
        }
        let mut published = broker.publish(messages).await.into_iter();
        for outcome in outcomes.iter_mut().filter(|outcome| outcome.error.is_none()) {
            // An adapter that answers too few has lost some.
            let result =
                published.next().unwrap_or_else(|| Err(PublishError::Unavailable { reason: "no answer".into() }));
            outcome.error = result.err().map(|error| not_published(&outcome.id, &error));
        }
        self.count(&outcomes);
        outcomes
    }

    fn count(&self, outcomes: &[Outcome]) {
        for outcome in outcomes {
            let name = match outcome.error.as_ref().map(|error| error.code) {
                None => "accepted",
                Some(ErrorCode::Unavailable | ErrorCode::Internal) => "unavailable",
                Some(_) => "refused",
            };
            self.events.add(1, &[KeyValue::new("outcome", name)]);
        }
    }
}

fn not_published(id: &str, error: &PublishError) -> ApiError {
    tracing::warn!(event_id = id, %error, "event not accepted");
    match error {
        PublishError::Refused { reason } => ApiError::new(ErrorCode::Internal, reason.clone()),
        _ => ApiError::new(
            ErrorCode::Unavailable,
            format!("event {id} was not accepted: {error}; publish it again with the same id"),
        ),
    }
}

struct Outcome {
    id: String,
    error: Option<ApiError>,
}

impl From<Outcome> for v1::PublishResult {
    fn from(outcome: Outcome) -> Self {
        let error = outcome.error.map(|error| {
            let field = error.fields.first().map(|(field, _)| field.clone()).unwrap_or_default();
            let message = error.message.clone();
            v1::PublishError { code: Status::from(error).code() as i32, message, field }
        });
        Self { id: outcome.id, error }
    }
}

fn traceparent<T>(request: &Request<T>) -> Option<String> {
    request.metadata().get("traceparent")?.to_str().ok().map(str::to_owned)
}

#[tonic::async_trait]
impl Events for Ingest {
    async fn publish(&self, request: Request<v1::PublishRequest>) -> Result<Response<v1::PublishResponse>, Status> {
        let caller = self.caller(&request).await?;
        let trace = traceparent(&request);
        let event = request.into_inner().event;
        let outcome = self.publish(vec![event], &caller, trace.as_deref()).await.pop();
        match outcome {
            Some(Outcome { id, error: None }) => Ok(Response::new(v1::PublishResponse { id })),
            Some(Outcome { error: Some(error), .. }) => Err(error.into()),
            None => Err(Status::internal("the event got no result")),
        }
    }

    async fn publish_batch(
        &self,
        request: Request<v1::PublishBatchRequest>,
    ) -> Result<Response<v1::PublishBatchResponse>, Status> {
        let caller = self.caller(&request).await?;
        let trace = traceparent(&request);
        let batch = request.into_inner();
        let (events, bytes) = (batch.events.len(), batch.encoded_len());
        if events == 0 || events > MAX_BATCH_EVENTS {
            let text = format!("must hold 1 to {MAX_BATCH_EVENTS} events, not {events}");
            return Err(ApiError::fields(vec![("events".into(), text)]).into());
        }
        if bytes > MAX_BATCH_BYTES {
            let text = format!("the batch has {bytes} bytes; at most {MAX_BATCH_BYTES} are possible");
            return Err(ApiError::new(ErrorCode::TooLarge, text).into());
        }
        let events = batch.events.into_iter().map(Some).collect();
        let outcomes = self.publish(events, &caller, trace.as_deref()).await;
        let results = outcomes.into_iter().map(v1::PublishResult::from).collect();
        Ok(Response::new(v1::PublishBatchResponse { results }))
    }

    type PublishStreamStream = ResultStream;

    async fn publish_stream(
        &self,
        request: Request<Streaming<v1::PublishStreamRequest>>,
    ) -> Result<Response<ResultStream>, Status> {
        let caller = Arc::new(self.caller(&request).await?);
        let trace: Option<Arc<str>> = traceparent(&request).map(Into::into);
        let ingest = self.clone();
        let chunks = until_error(request.into_inner()).ready_chunks(STREAM_CHUNK);
        let answers = chunks.map(move |chunk| publish_chunk(ingest.clone(), Arc::clone(&caller), trace.clone(), chunk));
        Ok(Response::new(Box::pin(answers.buffered(STREAM_CHUNKS).flat_map(futures::stream::iter))))
    }
}

/// A stream that ends with its first error. Asked on after one, tonic's would take what is left of a message that it has
/// refused for messages of their own.
fn until_error<T>(input: impl Stream<Item = Result<T, Status>> + Unpin) -> impl Stream<Item = Result<T, Status>> {
    futures::stream::unfold(Some(input), |input| async {
        let mut input = input?;
        let item = input.next().await?;
        let rest = if item.is_ok() { Some(input) } else { None };
        Some((item, rest))
    })
}

/// The answers to a chunk of a stream, its end with an error included.
async fn publish_chunk(
    ingest: Ingest,
    caller: Arc<Identity>,
    trace: Option<Arc<str>>,
    chunk: Vec<Result<v1::PublishStreamRequest, Status>>,
) -> Vec<Result<v1::PublishStreamResponse, Status>> {
    let mut sequences = Vec::with_capacity(chunk.len());
    let mut events = Vec::with_capacity(chunk.len());
    let mut end = None;
    for request in chunk {
        match request {
            Ok(request) => {
                sequences.push(request.sequence);
                events.push(request.event);
            }
            Err(status) => end = Some(status),
        }
    }
    let outcomes = ingest.publish(events, &caller, trace.as_deref()).await;
    let answer =
        |(sequence, outcome): (u64, Outcome)| v1::PublishStreamResponse { sequence, result: Some(outcome.into()) };
    let answers = sequences.into_iter().zip(outcomes).map(|pair| Ok(answer(pair)));
    answers.chain(end.map(Err)).collect()
}
