//! What is in a parked message, as far as it can be read. The bytes themselves are not shown.

use broker::Lane;
use bytes::Bytes;
use prost::Message as _;
use proto::{
    convert,
    internal::v1::{AcceptedEvent, DeliveryTask, RecordBatch},
    v1::{self, parked_message::Content},
};

/// Characters of an id or name that are shown: whoever put the message there may have written any text.
const NAME_CHARACTERS: usize = 100;

/// What is in the body; `None` if it is not what the lane carries.
pub(super) fn content(lane: Lane, body: &Bytes) -> Option<Content> {
    match lane {
        Lane::Events => event(body).map(Content::Event),
        Lane::DeliverFast | Lane::DeliverSlow => delivery(body).map(Content::Delivery),
        Lane::History => records(body).map(Content::Records),
    }
}

fn event(body: &Bytes) -> Option<v1::ParkedEvent> {
    let event = AcceptedEvent::decode(body.clone()).ok()?.event?;
    Some(v1::ParkedEvent {
        r#type: event.data.map_or("", |data| data.event_type().name()).to_owned(),
        event_id: shortened(event.id, NAME_CHARACTERS),
        instance: shortened(event.instance, NAME_CHARACTERS),
    })
}

fn delivery(body: &Bytes) -> Option<v1::ParkedDelivery> {
    let task = DeliveryTask::decode(body.clone()).ok()?;
    let delivery = task.delivery?;
    Some(v1::ParkedDelivery {
        delivery_id: convert::uuid_from(&delivery.delivery_id).map(|id| id.to_string()).unwrap_or_default(),
        instance: shortened(delivery.instance, NAME_CHARACTERS),
        webhook_id: delivery.webhook_id,
        attempt: task.number,
    })
}

fn records(body: &Bytes) -> Option<v1::ParkedRecords> {
    // Nothing in it: most likely something else, all of whose fields are unknown here.
    let count = RecordBatch::decode(body.clone()).ok()?.records.len();
    (count > 0).then(|| v1::ParkedRecords { count: u32::try_from(count).unwrap_or(u32::MAX) })
}

/// The beginning of a text.
pub(super) fn shortened(mut text: String, characters: usize) -> String {
    if let Some((end, _)) = text.char_indices().nth(characters) {
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use domain::EventType;
    use proto::internal::v1::{AttemptRecord, DeliveryRef};

    use super::*;

    fn read(lane: Lane, message: &impl prost::Message) -> Option<Content> {
        content(lane, &message.encode_to_vec().into())
    }

    #[test]
    fn what_can_be_read_is_told() {
        let mut event = payload::sample(EventType::RunCompleted);
        event.instance = "acme".into();
        let told =
            v1::ParkedEvent { event_id: event.id.clone(), instance: "acme".into(), r#type: "run.completed".into() };
        let accepted = AcceptedEvent { event: Some(event), ..AcceptedEvent::default() };
        assert_eq!(read(Lane::Events, &accepted), Some(Content::Event(told)));

        let id = uuid::Uuid::from_u128(7);
        let delivery = DeliveryRef {
            delivery_id: convert::uuid_bytes(id),
            instance: "acme".into(),
            webhook_id: 5,
            ..DeliveryRef::default()
        };
        let task = DeliveryTask { delivery: Some(delivery), number: 999, ..DeliveryTask::default() };
        let told =
            v1::ParkedDelivery { delivery_id: id.to_string(), instance: "acme".into(), webhook_id: 5, attempt: 999 };
        assert_eq!(read(Lane::DeliverFast, &task), Some(Content::Delivery(told.clone())));
        assert_eq!(read(Lane::DeliverSlow, &task), Some(Content::Delivery(told)));

        let batch = RecordBatch { records: vec![AttemptRecord::default(); 3], opened: Vec::new() };
        assert_eq!(read(Lane::History, &batch), Some(Content::Records(v1::ParkedRecords { count: 3 })));
    }

    #[test]
    fn what_cannot_be_read_is_not_made_up() {
        for lane in Lane::ALL {
            assert_eq!(content(lane, &Bytes::from_static(b"\xff\xff no protobuf")), None, "{lane:?}");
            assert_eq!(content(lane, &Bytes::new()), None, "{lane:?}");
        }
        // Of a version that has other fields.
        let later = Bytes::from_static(&[0xf8, 0x06, 0x01]);
        assert!(Lane::ALL.into_iter().all(|lane| content(lane, &later).is_none()));
    }

    #[test]
    fn texts_of_others_are_cut() {
        let event = v1::Event { id: "ä".repeat(5_000), ..v1::Event::default() };
        let accepted = AcceptedEvent { event: Some(event), ..AcceptedEvent::default() };
        let Some(Content::Event(told)) = read(Lane::Events, &accepted) else { panic!("no event") };
        assert_eq!((told.event_id, told.r#type.as_str()), (format!("{}…", "ä".repeat(100)), ""));
        assert_eq!(shortened("abc".into(), 3), "abc");
    }
}
