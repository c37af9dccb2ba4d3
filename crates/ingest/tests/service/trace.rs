//! The trace context that events come with, or get.

use std::collections::HashSet;

use domain::TraceContext;
use proto::v1::{Event, PublishBatchRequest, PublishRequest, PublishStreamRequest};
use tonic::Request;

use crate::{
    request,
    world::{World, event, events},
};

const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn traced<T>(message: T, traceparents: &[&str]) -> Request<T> {
    let mut request = request("acme", message);
    for traceparent in traceparents {
        request.metadata_mut().append("traceparent", traceparent.parse().unwrap());
    }
    request
}

fn publish(event: Event) -> PublishRequest {
    PublishRequest { event: Some(event) }
}

/// The trace contexts of what was published so far, which its header and its message agree on.
fn traces(world: &World) -> Vec<TraceContext> {
    let published = world.queue.published();
    let trace = published.iter().map(|message| {
        let trace = TraceContext::from_bytes(&message.accepted.trace).unwrap();
        assert_eq!(message.traceparent, Some(trace.to_string()));
        trace
    });
    trace.collect()
}

#[tokio::test]
async fn all_events_of_a_call_are_in_its_trace() {
    let world = World::start(1_000, 1_000);
    let given = TraceContext::parse(GIVEN).unwrap();
    world.client().publish(traced(publish(event("acme")), &[GIVEN])).await.unwrap();
    world.client().publish_batch(traced(PublishBatchRequest { events: events("acme", 2) }, &[GIVEN])).await.unwrap();
    let parts = events("acme", 2).into_iter().map(|event| PublishStreamRequest { event: Some(event), sequence: 0 });
    let stream = futures::stream::iter(parts.collect::<Vec<_>>());
    let mut answers = world.client().publish_stream(traced(stream, &[GIVEN])).await.unwrap().into_inner();
    while answers.message().await.unwrap().is_some() {}
    assert_eq!(traces(&world), [given; 5]);
}

#[tokio::test]
async fn without_a_valid_one_each_event_is_in_a_trace_of_its_own() {
    let world = World::start(1_000, 1_000);
    let other = GIVEN.replace("4bf9", "4bf8");
    let uppercase = GIVEN.to_uppercase();
    let none = "00-00000000000000000000000000000000-00f067aa0ba902b7-01";
    for traceparents in [&[][..], &["nonsense"], &[""], &[none], &[&uppercase], &[GIVEN, &other], &[GIVEN, GIVEN]] {
        let batch = PublishBatchRequest { events: events("acme", 2) };
        world.client().publish_batch(traced(batch, traceparents)).await.unwrap();
    }
    let ids: HashSet<[u8; 16]> = traces(&world).iter().map(|trace| *trace.trace_id()).collect();
    assert_eq!(ids.len(), 14, "fresh for each event");
    let given = [GIVEN, &other].map(|text| *TraceContext::parse(text).unwrap().trace_id());
    assert!(given.iter().all(|given| !ids.contains(given)), "{ids:?}");
}
