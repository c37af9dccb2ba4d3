//! How parked messages are shown: for people, and as JSON.

use std::fmt::Write as _;

use proto::{
    json::timestamp,
    v1::{ListParkedResponse, ParkedMessage, parked_message::Content},
};
use serde_json::{Value, json};

use crate::out::escape;

/// A line for each message, below it why it is parked and what is in it.
pub(super) fn text(answer: &ListParkedResponse) -> String {
    if answer.messages.is_empty() && answer.total == 0 {
        return "no message is parked\n".to_owned();
    }
    let mut text = format!("{:<44} {:<13} {:<28} {:>9}  given back\n", "id", "lane", "parked at", "bytes");
    for message in &answer.messages {
        // Writing to a string cannot fail.
        let _ = add(&mut text, message);
    }
    let (shown, total) = (answer.messages.len() as u64, answer.total);
    if shown < total {
        let _ = writeln!(text, "shown are {shown} of {total}; see more with --limit");
    }
    text
}

fn add(text: &mut String, message: &ParkedMessage) -> std::fmt::Result {
    let lane = if message.lane.is_empty() { "-" } else { &message.lane };
    let at = parked_at(message).unwrap_or_else(|| "-".to_owned());
    let given_back = message.redeliveries.map_or_else(|| "-".to_owned(), |count| count.to_string());
    let (id, bytes) = (escape(&message.id), message.bytes);
    writeln!(text, "{id:<44} {:<13} {at:<28} {bytes:>9}  {given_back}", escape(lane))?;
    writeln!(text, "    reason: {}", escape(&message.reason))?;
    match &message.content {
        None => writeln!(text, "    holds: cannot be decoded"),
        Some(Content::Event(event)) => {
            let kind = if event.r#type.is_empty() { "an unknown type" } else { &event.r#type };
            let (id, instance) = (escape(&event.event_id), escape(&event.instance));
            writeln!(text, "    holds: event {id} of {} in instance {instance}", escape(kind))
        }
        Some(Content::Delivery(delivery)) => writeln!(
            text,
            "    holds: attempt {} of delivery {} to webhook {} in instance {}",
            delivery.attempt,
            if delivery.delivery_id.is_empty() { "without an id" } else { &delivery.delivery_id },
            delivery.webhook_id,
            escape(&delivery.instance)
        ),
        Some(Content::Records(records)) => writeln!(text, "    holds: {} records of attempts", records.count),
    }
}

/// One object.
pub(super) fn json(answer: &ListParkedResponse) -> Value {
    let messages: Vec<Value> = answer.messages.iter().map(object).collect();
    json!({"total": answer.total, "messages": messages})
}

/// What is not known is null.
fn object(message: &ParkedMessage) -> Value {
    let content = match &message.content {
        None => Value::Null,
        Some(Content::Event(event)) => {
            json!({"event_id": event.event_id, "instance": event.instance, "event": known(&event.r#type)})
        }
        Some(Content::Delivery(delivery)) => json!({
            "delivery_id": known(&delivery.delivery_id),
            "instance": delivery.instance,
            "webhook_id": delivery.webhook_id,
            "attempt": delivery.attempt,
        }),
        Some(Content::Records(records)) => json!({"records": records.count}),
    };
    json!({
        "id": message.id,
        "lane": known(&message.lane),
        "reason": message.reason,
        "parked_at": parked_at(message),
        "bytes": message.bytes,
        "redeliveries": message.redeliveries,
        "content": content,
    })
}

fn known(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn parked_at(message: &ParkedMessage) -> Option<String> {
    message.parked_at.as_ref().and_then(timestamp::format)
}

#[cfg(test)]
mod tests {
    use proto::v1::{ParkedDelivery, ParkedEvent, ParkedRecords};

    use super::*;

    fn answer() -> ListParkedResponse {
        let event = ParkedEvent { event_id: "e1".into(), instance: "acme".into(), r#type: "run.created".into() };
        let delivery =
            ParkedDelivery { delivery_id: "d1".into(), instance: "acme".into(), webhook_id: 7, attempt: 999 };
        let contents = [
            Some(Content::Event(event)),
            Some(Content::Delivery(delivery)),
            Some(Content::Records(ParkedRecords { count: 3 })),
            None,
        ];
        let message = |(content, lane): (Option<Content>, &str)| ParkedMessage {
            id: format!("id of {lane}"),
            lane: lane.into(),
            reason: "bad\u{1b}[2J\nline".into(),
            parked_at: (!lane.is_empty()).then(|| timestamp::parse("2026-09-21T14:13:20Z").unwrap()),
            bytes: 12,
            redeliveries: (!lane.is_empty()).then_some(20),
            content,
        };
        let lanes = ["events", "deliver.slow", "history", ""];
        ListParkedResponse { messages: contents.into_iter().zip(lanes).map(message).collect(), total: 9 }
    }

    #[test]
    fn people_see_why_and_what() {
        let text = text(&answer());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 1 + 4 * 3 + 1, "{text}");
        for part in ["id of events", " events ", "2026-09-21T", " 12 ", " 20"] {
            assert!(lines[1].contains(part), "{part}: {text}");
        }
        assert_eq!(lines[2], r"    reason: bad\u{1b}[2J\nline");
        assert_eq!(lines[3], "    holds: event e1 of run.created in instance acme");
        assert_eq!(lines[6], "    holds: attempt 999 of delivery d1 to webhook 7 in instance acme");
        assert_eq!(lines[9], "    holds: 3 records of attempts");
        assert!(lines[10].ends_with("12  -"), "{text}");
        assert_eq!(lines[12], "    holds: cannot be decoded");
        assert_eq!(lines[13], "shown are 4 of 9; see more with --limit");
        assert_eq!(super::text(&ListParkedResponse::default()), "no message is parked\n");
    }

    #[test]
    fn programs_get_all_of_it() {
        let found = json(&answer());
        assert_eq!(found["total"], 9);
        let expected = json!({
            "id": "id of deliver.slow", "lane": "deliver.slow", "reason": "bad\u{1b}[2J\nline",
            "parked_at": "2026-09-21T14:13:20Z", "bytes": 12, "redeliveries": 20,
            "content": {"delivery_id": "d1", "instance": "acme", "webhook_id": 7, "attempt": 999},
        });
        assert_eq!(found["messages"][1], expected);
        let unknown = &found["messages"][3];
        for member in ["lane", "parked_at", "redeliveries", "content"] {
            assert!(unknown[member].is_null(), "{member}: {unknown}");
        }
    }
}
