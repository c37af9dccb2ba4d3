//! A codec that refuses fields that the schema does not know. Protobuf would drop them, and a publisher would take for
//! delivered what was lost on the way.

use std::{marker::PhantomData, sync::LazyLock};

use bytes::Buf;
use prost::{
    Message,
    encoding::{WireType, decode_key, decode_varint},
};
use prost_types::{DescriptorProto, FileDescriptorSet, field_descriptor_proto::Type};
use tonic::{
    Status,
    codec::{BufferSettings, Codec, DecodeBuf, Decoder},
};
use tonic_prost::ProstEncoder;

use crate::v1;

/// A message of the `Events` service, with its name where it is decoded strictly.
pub trait StrictMessage: Message + Default + 'static {
    /// Fully qualified name; `None` for answers, because a client must stand a newer server's.
    const STRICT: Option<&'static str>;
}

macro_rules! strict {
    ($($message:ident: $strict:expr;)+) => { $(impl StrictMessage for v1::$message { const STRICT: Option<&'static str> = $strict; })+ };
}

strict! {
    PublishRequest: Some(".testmo.webhooks.v1.PublishRequest");
    PublishBatchRequest: Some(".testmo.webhooks.v1.PublishBatchRequest");
    PublishStreamRequest: Some(".testmo.webhooks.v1.PublishStreamRequest");
    PublishResponse: None;
    PublishBatchResponse: None;
    PublishStreamResponse: None;
}

/// Like tonic's own codec, but unknown fields of a request are `INVALID_ARGUMENT`.
#[derive(Debug)]
pub struct StrictCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for StrictCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for StrictCodec<T, U>
where
    T: Message + Send + 'static,
    U: StrictMessage + Send,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = StrictDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::default()
    }

    fn decoder(&mut self) -> Self::Decoder {
        StrictDecoder(PhantomData)
    }
}

/// The decoder of a [`StrictCodec`].
#[derive(Debug)]
pub struct StrictDecoder<U>(PhantomData<U>);

impl<U: StrictMessage> Decoder for StrictDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        let raw = buffer.copy_to_bytes(buffer.remaining());
        let message = U::decode(raw.clone())
            .map_err(|error| Status::invalid_argument(format!("the request does not fit the schema: {error}")))?;
        // What was written in full and nothing else has the same length again; then there is nothing to look for.
        if let Some(name) = U::STRICT.filter(|_| message.encoded_len() != raw.len())
            && let Some(path) = unknown_field(name, &raw)
        {
            let text = format!("{path}: the schema has no such field; leave it out, or put it into extra_json");
            return Err(crate::error::invalid_field(&path, &text));
        }
        Ok(Some(message))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::default()
    }
}

static SCHEMA: LazyLock<FileDescriptorSet> =
    LazyLock::new(|| FileDescriptorSet::decode(crate::DESCRIPTORS).unwrap_or_default());

fn descriptor(name: &str) -> Option<&'static DescriptorProto> {
    SCHEMA.file.iter().find_map(|file| {
        let local = name.strip_prefix('.')?.strip_prefix(file.package())?.strip_prefix('.')?;
        file.message_type.iter().find(|message| message.name() == local)
    })
}

/// The path of the first field in `raw`, an encoded message of type `name`, that the schema does not have.
#[must_use]
pub fn unknown_field(name: &str, raw: &[u8]) -> Option<String> {
    let message = descriptor(name)?;
    let mut buffer = raw;
    let mut seen: Vec<(u32, usize)> = Vec::new();
    while buffer.has_remaining() {
        let (number, wire) = decode_key(&mut buffer).ok()?;
        let Some(field) = message.field.iter().find(|field| field.number() == number.cast_signed()) else {
            return Some(format!("field number {number}"));
        };
        if wire != WireType::LengthDelimited {
            skip_scalar(wire, &mut buffer)?;
            continue;
        }
        let length = usize::try_from(decode_varint(&mut buffer).ok()?).ok()?;
        let (inside, rest) = buffer.split_at_checked(length)?;
        buffer = rest;
        if field.r#type() != Type::Message {
            continue;
        }
        let index = occurrence(&mut seen, number);
        if let Some(path) = unknown_field(field.type_name(), inside) {
            let place = if field.label() == prost_types::field_descriptor_proto::Label::Repeated {
                format!("{}[{index}]", field.name())
            } else {
                field.name().to_owned()
            };
            return Some(format!("{place}.{path}"));
        }
    }
    None
}

/// How many times `number` was seen before.
fn occurrence(seen: &mut Vec<(u32, usize)>, number: u32) -> usize {
    match seen.iter_mut().find(|(known, _)| *known == number) {
        Some((_, count)) => {
            *count += 1;
            *count
        }
        None => {
            seen.push((number, 0));
            0
        }
    }
}

fn skip_scalar(wire: WireType, buffer: &mut &[u8]) -> Option<()> {
    let bytes = match wire {
        WireType::Varint => return decode_varint(buffer).ok().map(|_| ()),
        WireType::SixtyFourBit => 8,
        WireType::ThirtyTwoBit => 4,
        // Groups are not in proto3; prost has refused them before.
        _ => return None,
    };
    *buffer = buffer.get(bytes..)?;
    Some(())
}
