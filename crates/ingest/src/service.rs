//! The gRPC face: one event, a batch, a stream; all of them go to the broker in batches.

use std::{pin::Pin, sync::Arc, time::Duration};

use broker::{Lane, Outgoing, PublishError};
use domain::{Identity, TraceContext};
use futures::{Stream, StreamExt as _};
use opentelemetry::{KeyValue, metrics::Counter};
use prost::Message as _;
use proto::{
    error::{ApiError, ErrorCode},
    v1::{self, events_server::Events},
};
use runtime::{Span, SpanKind, config::Publishing, fail_point};
use tokio::time::Instant;
use tonic::{Request, Response, Status, Streaming};
use tonic_types::StatusExt as _;

use crate::{
    MAX_BATCH_BYTES, MAX_BATCH_EVENTS, Parts,
    accept::{Accepted, accept, may_publish},
    quota::{Admission, Quota, Refusal},
};

/// Events of a stream that are published together, if so many are there.
const STREAM_CHUNK: usize = 128;
/// Chunks of a stream under way at once.
const STREAM_CHUNKS: usize = 4;
/// How long an event of a stream may wait for its instance's quota; the stream is not read on meanwhile.
const STREAM_PATIENCE: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub(crate) struct Ingest {
    parts: Arc<Parts>,
    quota: Arc<Quota>,
    events: Counter<u64>,
    refused: Counter<u64>,
}

type ResultStream = Pin<Box<dyn Stream<Item = Result<v1::PublishStreamResponse, Status>> + Send>>;

impl Ingest {
    pub(crate) fn new(parts: Arc<Parts>, publishing: Publishing) -> Self {
        let meter = runtime::metrics("ingest");
        Self {
            parts,
            quota: Arc::new(Quota::new(publishing, Instant::now())),
            events: meter
                .u64_counter("webhooks.events.published")
                .with_description("Events by outcome: accepted, refused (by a rule), unavailable")
                .build(),
            refused: meter
                .u64_counter("webhooks.events.refused")
                .with_description("Events refused by a rule, by reason: the code of the error, such as rate_limited")
                .build(),
        }
    }

    async fn caller<T>(&self, request: &Request<T>) -> Result<Identity, Status> {
        let caller = runtime::admitted(&*self.parts.authenticator, request.extensions(), request.metadata()).await?;
        may_publish(&caller)?;
        Ok(caller)
    }

    /// Publishes events; one result for each, in their order.
    async fn publish(
        &self,
        events: Vec<Option<v1::Event>>,
        caller: &Identity,
        trace: Option<TraceContext>,
    ) -> Vec<Outcome> {
        self.send(self.prepare(events, caller, trace, Duration::ZERO).await).await
    }

    /// Checks events, and waits for up to `patience` until the quota permits them.
    async fn prepare(
        &self,
        events: Vec<Option<v1::Event>>,
        caller: &Identity,
        trace: Option<TraceContext>,
        patience: Duration,
    ) -> Prepared {
        let Parts { clock, ids, .. } = &*self.parts;
        let mut outcomes = Vec::with_capacity(events.len());
        let mut accepted = Vec::with_capacity(events.len());
        for event in events {
            let given_id = event.as_ref().map(|event| event.id.clone()).unwrap_or_default();
            let mut span = Span::begin("ingest", "publish", SpanKind::Server, trace);
            let (id, error) = match accept(event, caller, &mut span, &**clock, &**ids) {
                Ok(event) => {
                    let id = event.id.to_string();
                    accepted.push(event);
                    (id, None)
                }
                Err(error) => (given_id, Some(error)),
            };
            outcomes.push(Outcome { id, error, retry_after: None, span: Some(span) });
        }
        let instances: Vec<&str> = accepted.iter().map(|event| event.instance.as_str()).collect();
        let Admission { delay, refusals } = self.quota.admit(&instances, patience, Instant::now());
        let mut messages = Vec::with_capacity(accepted.len());
        let open = outcomes.iter_mut().filter(|outcome| outcome.error.is_none());
        for ((outcome, event), refusal) in open.zip(accepted).zip(refusals) {
            match refusal {
                None => messages.push(message(event)),
                Some(refusal) => outcome.refuse(refusal, &event.instance),
            }
        }
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        Prepared { outcomes, messages }
    }

    /// Gives the broker what may be published.
    async fn send(&self, prepared: Prepared) -> Vec<Outcome> {
        let Prepared { mut outcomes, messages } = prepared;
        if !messages.is_empty() {
            let mut published = self.parts.broker.publish(messages).await.into_iter();
            fail_point("ingest.published");
            for outcome in outcomes.iter_mut().filter(|outcome| outcome.error.is_none()) {
                // An adapter that answers too few has lost some.
                let result =
                    published.next().unwrap_or_else(|| Err(PublishError::Unavailable { reason: "no answer".into() }));
                outcome.error = result.err().map(|error| not_published(&outcome.id, &error));
            }
        }
        self.count(&outcomes);
        outcomes.iter_mut().for_each(Outcome::end_span);
        outcomes
    }

    fn count(&self, outcomes: &[Outcome]) {
        for outcome in outcomes {
            let name = match outcome.error.as_ref().map(|error| error.code) {
                None => "accepted",
                Some(ErrorCode::Unavailable | ErrorCode::Internal) => "unavailable",
                Some(code) => {
                    self.refused.add(1, &[KeyValue::new("reason", code.name())]);
                    "refused"
                }
            };
            self.events.add(1, &[KeyValue::new("outcome", name)]);
        }
    }
}

fn message(event: Accepted) -> Outgoing {
    Outgoing {
        lane: Lane::Events,
        delay: Duration::ZERO,
        body: event.body,
        message_id: event.publish_id,
        traceparent: Some(event.trace.to_string()),
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

/// Events on their way: what has become of each so far, and a message for each that nothing is wrong with.
struct Prepared {
    outcomes: Vec<Outcome>,
    messages: Vec<Outgoing>,
}

struct Outcome {
    id: String,
    error: Option<ApiError>,
    /// After how long to publish it again, where that is known.
    retry_after: Option<Duration>,
    span: Option<Span>,
}

impl Outcome {
    fn refuse(&mut self, refusal: Refusal, instance: &str) {
        self.error = Some(refusal.error(instance, &self.id));
        self.retry_after = Some(refusal.wait);
    }

    fn end_span(&mut self) {
        let Some(mut span) = self.span.take() else { return };
        if let Some(error) = &self.error {
            span.fail(error.code.name(), &error.message);
        }
        span.end();
    }

    /// The id, or the error with all its details.
    fn into_answer(self) -> Result<String, Status> {
        let Some(error) = self.error else { return Ok(self.id) };
        let status = Status::from(error);
        let Some(wait) = self.retry_after else { return Err(status) };
        let mut details = status.get_error_details();
        details.set_retry_info(Some(wait));
        Err(Status::with_error_details(status.code(), status.message(), details))
    }
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

/// The trace context that a call came with; `None`: with none that is valid, or with several.
fn trace<T>(request: &Request<T>) -> Option<TraceContext> {
    let mut values = request.metadata().get_all("traceparent").iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    TraceContext::parse(value.to_str().ok()?)
}

#[tonic::async_trait]
impl Events for Ingest {
    async fn publish(&self, request: Request<v1::PublishRequest>) -> Result<Response<v1::PublishResponse>, Status> {
        let caller = self.caller(&request).await?;
        let trace = trace(&request);
        let event = request.into_inner().event;
        let outcome = self.publish(vec![event], &caller, trace).await.pop();
        let outcome = outcome.ok_or_else(|| Status::internal("the event got no result"))?;
        Ok(Response::new(v1::PublishResponse { id: outcome.into_answer()? }))
    }

    async fn publish_batch(
        &self,
        request: Request<v1::PublishBatchRequest>,
    ) -> Result<Response<v1::PublishBatchResponse>, Status> {
        let caller = self.caller(&request).await?;
        let trace = trace(&request);
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
        let outcomes = self.publish(events, &caller, trace).await;
        let results = outcomes.into_iter().map(v1::PublishResult::from).collect();
        Ok(Response::new(v1::PublishBatchResponse { results }))
    }

    type PublishStreamStream = ResultStream;

    async fn publish_stream(
        &self,
        request: Request<Streaming<v1::PublishStreamRequest>>,
    ) -> Result<Response<ResultStream>, Status> {
        let caller = Arc::new(self.caller(&request).await?);
        let trace = trace(&request);
        let (reader, sender) = (self.clone(), self.clone());
        // A chunk is published as a whole, so it must fit into the quota as a whole.
        let length = STREAM_CHUNK.min(self.quota.burst());
        let chunks = until_error(request.into_inner()).ready_chunks(length);
        // One after the other: while a chunk waits for the quota, nothing more is read.
        let prepared = chunks.then(move |chunk| prepare_chunk(reader.clone(), Arc::clone(&caller), trace, chunk));
        let answers = prepared.map(move |chunk| send_chunk(sender.clone(), chunk));
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

/// A chunk of a stream: its events, with what the caller calls them; and with what error the stream ended.
struct Chunk {
    sequences: Vec<u64>,
    events: Prepared,
    end: Option<Status>,
}

async fn prepare_chunk(
    ingest: Ingest,
    caller: Arc<Identity>,
    trace: Option<TraceContext>,
    chunk: Vec<Result<v1::PublishStreamRequest, Status>>,
) -> Chunk {
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
    // On a stream of several instances, those that publish little would wait for the one that publishes too much.
    let patience = if caller.instance.is_some() { STREAM_PATIENCE } else { Duration::ZERO };
    Chunk { sequences, events: ingest.prepare(events, &caller, trace, patience).await, end }
}

/// The answers to a chunk, the stream's end with an error included.
async fn send_chunk(ingest: Ingest, chunk: Chunk) -> Vec<Result<v1::PublishStreamResponse, Status>> {
    let outcomes = ingest.send(chunk.events).await;
    let answer =
        |(sequence, outcome): (u64, Outcome)| v1::PublishStreamResponse { sequence, result: Some(outcome.into()) };
    let answers = chunk.sequences.into_iter().zip(outcomes).map(|pair| Ok(answer(pair)));
    answers.chain(chunk.end.map(Err)).collect()
}
