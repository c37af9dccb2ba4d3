//! Compiles `/proto` without protoc, and gives the entities and the 23 kinds of event data their JSON shape.

use std::{error::Error, fs, path::PathBuf};

use prost::Message as _;
use prost_types::{
    DescriptorProto, FieldDescriptorProto, FileDescriptorSet,
    field_descriptor_proto::{Label, Type},
};
use tonic_prost_build::Builder;

const ROOT: &str = "../../proto";
const PACKAGE: &str = ".testmo.webhooks.v1";
const PUBLIC: [&str; 6] = ["entities", "events", "history", "instances", "operations", "webhooks"];
const INTERNAL: [&str; 3] = ["configuration", "messages", "recording"];
const EVENTS: &str = "testmo/webhooks/v1/events.proto";
const ENTITIES: &str = "testmo/webhooks/v1/entities.proto";
/// Messages that hold a secret, or an address that may be one; `src/masked.rs` says what of them may be shown.
const MASKED: [&str; 9] = [
    ".testmo.webhooks.internal.v1.AuthenticateRequest",
    ".testmo.webhooks.internal.v1.RequestHeader",
    ".testmo.webhooks.internal.v1.SigningSecret",
    ".testmo.webhooks.internal.v1.WebhookConfig",
    ".testmo.webhooks.v1.CreateTokenResponse",
    ".testmo.webhooks.v1.CreateWebhookRequest",
    ".testmo.webhooks.v1.CustomHeader",
    ".testmo.webhooks.v1.UpdateWebhookRequest",
    ".testmo.webhooks.v1.Webhook",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={ROOT}");
    println!("cargo::rerun-if-changed=build.rs");
    let public = PUBLIC.map(|name| format!("testmo/webhooks/v1/{name}.proto"));
    let internal = INTERNAL.map(|name| format!("testmo/webhooks/internal/v1/{name}.proto"));
    let descriptors = protox::compile(public.iter().chain(&internal), [ROOT])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;

    let mut messages = descriptors.clone();
    messages.file.iter_mut().filter(|file| file.name() == EVENTS).for_each(|file| file.service.clear());
    json_shapes(&descriptors, tonic_prost_build::configure().bytes(".").skip_debug(MASKED)).compile_fds(messages)?;

    // The `Events` service apart, because it decodes strictly: an unknown field of a publisher is an error, not lost.
    let mut events = descriptors;
    events.file.iter_mut().filter(|file| file.name() != EVENTS).for_each(|file| file.service.clear());
    let strict = out.join("strict");
    fs::create_dir_all(&strict)?;
    tonic_prost_build::configure()
        .codec_path("crate::strict::StrictCodec")
        .extern_path(PACKAGE, "crate::v1")
        .extern_path(".testmo.webhooks.internal.v1", "crate::internal::v1")
        .out_dir(strict)
        .compile_fds(events)?;
    Ok(())
}

/// Adds serde attributes to all entities and to the members of the event's `data`.
fn json_shapes(descriptors: &FileDescriptorSet, mut builder: Builder) -> Builder {
    for file in &descriptors.file {
        let data: Vec<&str> = match file.name() {
            ENTITIES => file.message_type.iter().map(DescriptorProto::name).collect(),
            EVENTS => data_members(file.message_type.iter().find(|message| message.name() == "Event")),
            _ => continue,
        };
        for message in file.message_type.iter().filter(|message| data.contains(&message.name())) {
            let path = format!("{PACKAGE}.{}", message.name());
            builder = builder
                .message_attribute(&path, "#[derive(serde::Serialize, serde::Deserialize)]")
                .message_attribute(&path, "#[serde(default, deny_unknown_fields)]");
            for field in &message.field {
                if let Some(attribute) = field_attribute(field) {
                    builder = builder.field_attribute(format!("{path}.{}", field.name()), attribute);
                }
            }
        }
    }
    builder
}

fn data_members(event: Option<&DescriptorProto>) -> Vec<&str> {
    let fields = event.into_iter().flat_map(|event| &event.field);
    let members = fields.filter(|field| field.oneof_index.is_some());
    members.filter_map(|field| field.type_name().rsplit('.').next()).collect()
}

fn field_attribute(field: &FieldDescriptorProto) -> Option<String> {
    if field.label() == Label::Repeated {
        return None;
    }
    match field.r#type() {
        Type::Message if field.type_name() == ".google.protobuf.Timestamp" => {
            Some(r#"#[serde(with = "crate::json::timestamp", skip_serializing_if = "Option::is_none")]"#.into())
        }
        Type::Enum => {
            let name = field.type_name().rsplit('.').next().unwrap_or_default();
            Some(format!(r#"#[serde(with = "crate::json::{name}")]"#))
        }
        Type::Message => Some(r#"#[serde(skip_serializing_if = "Option::is_none")]"#.into()),
        _ if field.proto3_optional() => Some(r#"#[serde(skip_serializing_if = "Option::is_none")]"#.into()),
        Type::String if !["name", "type"].contains(&field.name()) => {
            Some(r#"#[serde(skip_serializing_if = "String::is_empty")]"#.into())
        }
        _ => None,
    }
}
