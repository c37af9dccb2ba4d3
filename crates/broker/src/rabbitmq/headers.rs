//! Headers of messages: the names of ours, and reading what anybody may have put there.

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};

/// The W3C trace context.
pub(super) const TRACEPARENT: &str = "traceparent";
/// Why a message was parked, when a consumer has done it.
pub(super) const REASON: &str = "reason";
/// The lane that a parked message came from.
pub(super) const LANE: &str = "lane";
/// When a message was parked, in Unix microseconds.
pub(super) const PARKED_AT: &str = "parked_at";
/// How often a parked message had been given back.
pub(super) const REDELIVERIES: &str = "redeliveries";
/// Marks a message that a consumer may have seen before, and that is another one to RabbitMQ: it was parked and has been
/// put back, or its queue was deleted.
pub(super) const SEEN: &str = "seen";

/// How often RabbitMQ has delivered a message in vain; its own header, absent at first.
const DELIVERY_COUNT: &str = "x-delivery-count";

/// The headers of a message, if it has any.
pub(super) fn of(properties: &BasicProperties) -> Option<&FieldTable> {
    properties.headers().as_ref()
}

/// A header that is text.
pub(super) fn text(headers: Option<&FieldTable>, name: &str) -> Option<String> {
    match headers?.inner().get(name)? {
        AMQPValue::LongString(text) => Some(String::from_utf8_lossy(text.as_bytes()).into_owned()),
        AMQPValue::ShortString(text) => Some(text.to_string()),
        _ => None,
    }
}

/// How often consumers have given a message back.
pub(super) fn redeliveries(headers: Option<&FieldTable>) -> u32 {
    let count = headers.and_then(|headers| headers.inner().get(DELIVERY_COUNT)).and_then(integer);
    u32::try_from(count.unwrap_or(0)).unwrap_or(0)
}

/// An integer of any width: which one RabbitMQ takes differs between versions.
fn integer(value: &AMQPValue) -> Option<i64> {
    match *value {
        AMQPValue::ShortShortInt(value) => Some(value.into()),
        AMQPValue::ShortShortUInt(value) => Some(value.into()),
        AMQPValue::ShortInt(value) => Some(value.into()),
        AMQPValue::ShortUInt(value) => Some(value.into()),
        AMQPValue::LongInt(value) => Some(value.into()),
        AMQPValue::LongUInt(value) => Some(value.into()),
        AMQPValue::LongLongInt(value) => Some(value),
        _ => None,
    }
}

/// Where and why RabbitMQ itself has dead-lettered a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Death {
    pub(super) queue: String,
    /// RabbitMQ's word for it, such as `delivery_limit`.
    pub(super) reason: String,
    /// Unix seconds.
    pub(super) at: Option<u64>,
}

/// All dead-letterings of a message: one entry for each queue and reason.
pub(super) fn deaths(headers: Option<&FieldTable>) -> Vec<Death> {
    let Some(AMQPValue::FieldArray(entries)) = headers.and_then(|headers| headers.inner().get("x-death")) else {
        return Vec::new();
    };
    let death = |entry: &AMQPValue| match entry {
        AMQPValue::FieldTable(entry) => Some(Death {
            queue: text(Some(entry), "queue")?,
            reason: text(Some(entry), "reason")?,
            at: match entry.inner().get("time") {
                Some(AMQPValue::Timestamp(seconds)) => Some(*seconds),
                _ => None,
            },
        }),
        _ => None,
    };
    entries.as_slice().iter().filter_map(death).collect()
}

#[cfg(test)]
mod tests {
    use lapin::types::FieldArray;

    use super::*;

    fn table(entries: impl IntoIterator<Item = (&'static str, AMQPValue)>) -> FieldTable {
        let mut table = FieldTable::default();
        for (name, value) in entries {
            table.insert(name.into(), value);
        }
        table
    }

    fn long(text: &str) -> AMQPValue {
        AMQPValue::LongString(text.into())
    }

    #[test]
    fn what_is_not_as_expected_is_passed_over() {
        let mut array = FieldArray::default();
        array.push(long("no table"));
        array.push(AMQPValue::FieldTable(table([("queue", long("q"))])));
        array.push(AMQPValue::FieldTable(table([("queue", long("q")), ("reason", long("rejected"))])));
        let headers = table([
            ("x-death", AMQPValue::FieldArray(array)),
            (TRACEPARENT, AMQPValue::LongInt(7)),
            (REASON, long("why")),
            (DELIVERY_COUNT, AMQPValue::LongLongInt(-1)),
        ]);
        let expected = Death { queue: "q".to_owned(), reason: "rejected".to_owned(), at: None };
        assert_eq!(deaths(Some(&headers)), [expected]);
        assert_eq!(text(Some(&headers), TRACEPARENT), None);
        assert_eq!(text(Some(&headers), REASON).as_deref(), Some("why"));
        assert_eq!(redeliveries(Some(&headers)), 0);
        assert_eq!((deaths(None), text(None, REASON), redeliveries(None)), (Vec::new(), None, 0));
    }

    #[test]
    fn a_count_may_have_any_width() {
        for value in [AMQPValue::ShortShortUInt(3), AMQPValue::LongInt(3), AMQPValue::LongLongInt(3)] {
            assert_eq!(redeliveries(Some(&table([(DELIVERY_COUNT, value)]))), 3);
        }
    }
}
