//! What a publisher may get wrong: each mistake is answered with a status that says which, and delivers nothing.

use std::time::Duration;

use blackbox::{
    events, in_both_modes,
    product::{Mode, Product},
    publisher::Publisher,
    receiver::Receiver,
    wait::eventually,
    webhooks,
};
use prost::Message;
use proto::v1::{Event, PublishStreamRequest, Run, event::Data};
use tonic::{Code, Status};

in_both_modes!(
    callers_need_a_publishers_token,
    mistakes_in_an_event_are_named,
    unknown_fields_are_refused,
    sizes_are_limited,
    a_batch_takes_what_is_right,
    a_stream_answers_each_event,
    a_stream_ends_with_what_cannot_be_read,
);

const SOON: Duration = Duration::from_secs(20);
/// Field number 999, a number, 1: no message of the schema has it.
const UNKNOWN: [u8; 3] = [0xb8, 0x3e, 0x01];

fn good() -> Event {
    events::run_completed(events::PROJECT, 1)
}

fn refused(answer: Result<String, Status>, code: Code, names: &str) {
    let status = answer.expect_err(names);
    assert_eq!(status.code(), code, "{names}: {status}");
    assert!(status.message().contains(names), "`{}` does not name `{names}`", status.message());
}

async fn callers_need_a_publishers_token(mode: Mode) {
    let product = Product::start(mode).await;
    refused(product.publisher_with(None).publish(good()).await, Code::Unauthenticated, "token");
    refused(product.publisher_with(Some("tmwh_wrong")).publish(good()).await, Code::Unauthenticated, "token");
    refused(product.publisher_with(Some("")).publish(good()).await, Code::Unauthenticated, "token");
    let admin = product.publisher_with(Some(product.admin_token()));
    refused(admin.publish(good()).await, Code::PermissionDenied, "publisher");
    product.publisher().publish(good()).await.expect("with the right token it is accepted");
}

async fn mistakes_in_an_event_are_named(mode: Mode) {
    let product = Product::start(mode).await;
    let (rest, receiver) = (product.admin(), Receiver::start().await);
    webhooks::create_generic(&rest, &receiver.url("/in")).await;
    let publisher = product.publisher();
    let mut project_zero = good();
    project_zero.project.as_mut().expect("a project").id = 0;
    let mut of_another_project = good();
    let Some(Data::RunCompleted(completed)) = &mut of_another_project.data else { panic!("a completed run") };
    completed.run.as_mut().expect("a run").project_id = Some(2);
    let mut without_result = good();
    let Some(Data::RunCompleted(completed)) = &mut without_result.data else { panic!("a completed run") };
    completed.result = 0;
    let mut without_run = good();
    let Some(Data::RunCompleted(completed)) = &mut without_run.data else { panic!("a completed run") };
    completed.run = None;
    let mistakes = [
        ("project", Event { project: None, ..good() }),
        ("project", project_zero),
        ("project", of_another_project),
        ("data", Event { data: None, ..good() }),
        ("run", without_run),
        ("result", without_result),
        ("id", Event { id: "not-a-uuid".into(), ..good() }),
        ("instance", Event { instance: "Not An Instance!".into(), ..good() }),
        ("extra_json", Event { extra_json: "{broken".into(), ..good() }),
        ("extra_json", Event { extra_json: "[1]".into(), ..good() }),
        ("extra_json", Event { extra_json: r#"{"run": 1}"#.into(), ..good() }),
    ];
    for (names, event) in mistakes {
        refused(publisher.publish(event).await, Code::InvalidArgument, names);
    }
    let accepted = publisher.publish(good()).await.expect("an event without a mistake");
    let requests = receiver.wait_for("/in", 1, SOON).await;
    assert_eq!(requests[0].json()["id"], accepted.as_str());
    receiver.stays_at("/in", 1, Duration::from_secs(1)).await;
}

async fn unknown_fields_are_refused(mode: Mode) {
    let product = Product::start(mode).await;
    let publisher = product.publisher();
    let message = |event: Vec<u8>| field(1, &event);
    // First the same bytes without the unknown field: so that it is the field that is refused.
    send(&publisher, message(good().encode_to_vec())).await.expect("a well-formed request");

    let beside_the_event = [message(good().encode_to_vec()), UNKNOWN.to_vec()].concat();
    let in_the_event = message([good().encode_to_vec(), UNKNOWN.to_vec()].concat());
    let run = [Run { id: 1, name: "Run".into(), ..Run::default() }.encode_to_vec(), UNKNOWN.to_vec()].concat();
    let event = Event { data: None, ..good() }.encode_to_vec();
    // `run_created` is field 20 of the event, `run` field 1 of that.
    let in_the_run = message([event, field(20, &field(1, &run))].concat());
    for bytes in [beside_the_event, in_the_event, in_the_run] {
        refused(send(&publisher, bytes).await, Code::InvalidArgument, "999");
    }
    let nonsense = publisher.publish_bytes(vec![0xff; 40]).await.expect_err("no message at all");
    assert!(matches!(nonsense.code(), Code::InvalidArgument | Code::Internal), "{nonsense}");
    publisher.publish(good()).await.expect("the server goes on");
}

async fn sizes_are_limited(mode: Mode) {
    let product = Product::start(mode).await;
    let (rest, receiver) = (product.admin(), Receiver::start().await);
    webhooks::create_generic(&rest, &receiver.url("/in")).await;
    let publisher = product.publisher();
    let large = |kib: usize| events::with_extra(good(), kib * 1024);
    publisher.publish(large(250)).await.expect("an event of 250 KiB");
    for kib in [260, 2_000, 5_000] {
        let status = publisher.publish(large(kib)).await.expect_err("more than 256 KiB");
        assert!(matches!(status.code(), Code::OutOfRange | Code::InvalidArgument), "{kib} KiB: {status}");
    }
    let many = publisher.publish_batch(events::many(1_001)).await.expect_err("more than 1,000 events");
    assert!(matches!(many.code(), Code::OutOfRange | Code::InvalidArgument), "{many}");
    let batch = (0..20).map(|_| large(250)).collect();
    let heavy = publisher.publish_batch(batch).await.expect_err("more than 4 MiB");
    assert!(matches!(heavy.code(), Code::OutOfRange | Code::InvalidArgument), "{heavy}");
    let requests = receiver.wait_for("/in", 1, SOON).await;
    assert!(requests[0].body.len() > 250 * 1024);
    receiver.stays_at("/in", 1, Duration::from_secs(1)).await;
}

async fn a_batch_takes_what_is_right(mode: Mode) {
    let product = Product::start(mode).await;
    let (rest, receiver) = (product.admin(), Receiver::start().await);
    webhooks::create_generic(&rest, &receiver.url("/in")).await;
    let (first, last) = (good(), good());
    let wrong = Event { project: None, ..good() };
    let too_large = events::with_extra(good(), 300 * 1024);
    let batch = vec![first.clone(), wrong, too_large, last.clone()];
    let results = product.publisher().publish_batch(batch).await.expect("a result for each event");
    assert_eq!(results.len(), 4);
    let error = |index: usize| results[index].error.as_ref();
    assert!(error(0).is_none() && error(3).is_none(), "{results:?}");
    let wrong = error(1).expect("an event without a project is refused");
    assert_eq!((wrong.code, wrong.field.as_str()), (Code::InvalidArgument as i32, "project"), "{wrong:?}");
    let large = error(2).expect("an event of 300 KiB is refused");
    assert!(!matches!(Code::from_i32(large.code), Code::Ok | Code::Unavailable), "{large:?}");
    let requests = receiver.wait_for("/in", 2, SOON).await;
    let mut ids: Vec<_> = requests.iter().map(|request| request.json()["id"].as_str().map(str::to_owned)).collect();
    let mut expected = vec![Some(first.id), Some(last.id)];
    ids.sort();
    expected.sort();
    assert_eq!(ids, expected);
}

async fn send(publisher: &Publisher, message: Vec<u8>) -> Result<String, Status> {
    publisher.publish_bytes(message).await.map(|answer| format!("{answer:?}"))
}

/// A field with bytes, as protobuf writes it.
fn field(number: u32, bytes: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::new();
    prost::encoding::encode_key(number, prost::encoding::WireType::LengthDelimited, &mut encoded);
    prost::encoding::encode_varint(bytes.len() as u64, &mut encoded);
    encoded.extend_from_slice(bytes);
    encoded
}

fn stream_request(sequence: u64, event: Event) -> Vec<u8> {
    PublishStreamRequest { event: Some(event), sequence }.encode_to_vec()
}

async fn a_stream_answers_each_event(mode: Mode) {
    let product = Product::start(mode).await;
    let receiver = Receiver::start().await;
    webhooks::create_generic(&product.admin(), &receiver.url("/in")).await;
    let events: Vec<Event> = (1..=300).map(|run| events::run_completed(events::PROJECT, run)).collect();
    let mut messages: Vec<_> = (0..).zip(events).map(|(sequence, event)| stream_request(sequence, event)).collect();
    messages.insert(150, stream_request(999, Event { project: None, ..good() }));
    let (answers, end) = product.publisher().publish_stream(messages).await;
    assert!(end.is_none(), "{end:?}");
    let sequences: Vec<u64> = answers.iter().map(|answer| answer.sequence).collect();
    assert_eq!(sequences, (0..150).chain([999]).chain(150..300).collect::<Vec<u64>>());
    for answer in answers {
        let error = answer.result.expect("a result").error;
        assert_eq!(error.as_ref().map(|error| error.field.as_str()), (answer.sequence == 999).then_some("project"));
    }
    receiver.wait_for("/in", 300, SOON).await;
}

/// What follows something that cannot be read is not taken, not even if it looks like a message.
async fn a_stream_ends_with_what_cannot_be_read(mode: Mode) {
    let product = Product::start(mode).await;
    let receiver = Receiver::start().await;
    webhooks::create_generic(&product.admin(), &receiver.url("/in")).await;
    let publisher = product.publisher();
    let hidden = stream_request(77, good());
    let mut huge = vec![0];
    huge.extend(u32::try_from(hidden.len()).expect("short").to_be_bytes());
    huge.extend(&hidden);
    huge.resize(9_000_000, 0);
    let mut unknown = stream_request(2, good());
    unknown.extend(UNKNOWN);
    for (bad, code) in [(huge, Code::OutOfRange), (unknown, Code::InvalidArgument)] {
        let messages = vec![stream_request(1, good()), bad, stream_request(3, good())];
        let (answers, end) = publisher.publish_stream(messages).await;
        let status = end.expect("the stream ends with an error");
        assert_eq!(status.code(), code, "{status}");
        let sequences: Vec<u64> = answers.iter().map(|answer| answer.sequence).collect();
        assert!(sequences == [1] || sequences.is_empty(), "{sequences:?}");
    }
    let last = publisher.publish(good()).await.expect("the next call is not affected");
    let ids = || -> Vec<String> {
        let requests = receiver.requests("/in");
        requests.iter().map(|request| request.json()["id"].as_str().expect("an id").to_owned()).collect()
    };
    eventually(SOON, "the last event arrives", async || ids().contains(&last).then_some(())).await;
    assert!(ids().len() <= 3, "nothing but the good ones before the errors: {:?}", ids());
}
