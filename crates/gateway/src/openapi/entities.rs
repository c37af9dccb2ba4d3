//! Schemas of the entities and of each event's `data`, made from the compiled gRPC schema and its comments: the JSON of
//! the generic payload has the same names and shape (see `events.proto`), so neither can leave the other behind.

use std::collections::BTreeMap;

use domain::EventType;
use prost::Message as _;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet,
    field_descriptor_proto::{Label, Type},
    source_code_info::Location,
};
use serde_json::{Map, Value, json};

use super::schema;

/// Places in a file's descriptor, as the comments give them (`descriptor.proto`).
const MESSAGES: i32 = 4;
const FIELDS: i32 = 2;

/// The compiled gRPC schema.
pub(super) struct Source {
    /// Messages by their full name, each with its comment and those of its fields.
    messages: BTreeMap<String, Documented>,
    enums: BTreeMap<String, EnumDescriptorProto>,
}

struct Documented {
    message: DescriptorProto,
    comment: String,
    fields: Vec<String>,
}

impl Source {
    /// The schema is part of the program: that it can be read is for the tests to hold.
    pub(super) fn new() -> Self {
        let files = FileDescriptorSet::decode(proto::DESCRIPTORS).unwrap_or_default().file;
        let mut source = Self { messages: BTreeMap::new(), enums: BTreeMap::new() };
        for file in files {
            let package = file.package().to_owned();
            let locations = file.source_code_info.map(|info| info.location).unwrap_or_default();
            for value in file.enum_type {
                source.enums.insert(format!(".{package}.{}", value.name()), value);
            }
            for (place, message) in (0..).zip(file.message_type) {
                let name = format!(".{package}.{}", message.name());
                let fields = (0..).zip(&message.field);
                let fields = fields.map(|(field, _)| comment(&locations, &[MESSAGES, place, FIELDS, field])).collect();
                let comment = comment(&locations, &[MESSAGES, place]);
                source.messages.insert(name, Documented { message, comment, fields });
            }
        }
        source
    }

    /// The full name of the message that holds the data of this type of event.
    fn data(&self, event: EventType) -> Option<String> {
        let member = event.name().replace('.', "_");
        let fields = &self.messages.get(".testmo.webhooks.v1.Event")?.message.field;
        fields.iter().find(|field| field.name() == member).map(|field| field.type_name().to_owned())
    }

    /// The name of the schema of this type of event's `data`.
    pub(super) fn data_name(&self, event: EventType) -> String {
        self.data(event).as_deref().map(short).unwrap_or_default().to_owned()
    }

    /// The schemas of all entities that payloads hold, by name.
    pub(super) fn schemas(&self) -> BTreeMap<String, Value> {
        let mut wanted: Vec<String> = EventType::ALL.iter().filter_map(|event| self.data(*event)).collect();
        // Of the envelope.
        wanted.extend([".testmo.webhooks.v1.Project".to_owned(), ".testmo.webhooks.v1.User".to_owned()]);
        let mut schemas = BTreeMap::new();
        while let Some(name) = wanted.pop() {
            let Some(documented) = self.messages.get(&name).filter(|_| !schemas.contains_key(short(&name))) else {
                continue;
            };
            let fields = documented.message.field.iter();
            wanted.extend(fields.filter(|field| is_entity(field)).map(|field| field.type_name().to_owned()));
            schemas.insert(short(&name).to_owned(), entity(self, documented));
        }
        schemas
    }
}

fn comment(locations: &[Location], path: &[i32]) -> String {
    let found = locations.iter().find(|location| location.path == path);
    let text = found.map(Location::leading_comments).unwrap_or_default();
    text.lines().map(str::trim).collect::<Vec<_>>().join(" ").trim().to_owned()
}

/// The name of a message without its package.
fn short(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

fn is_entity(field: &FieldDescriptorProto) -> bool {
    field.r#type() == Type::Message && field.type_name() != ".google.protobuf.Timestamp"
}

fn entity(source: &Source, documented: &Documented) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for (field, comment) in documented.message.field.iter().zip(&documented.fields) {
        properties.insert(field.name().to_owned(), member(source, field, comment));
        if is_always_there(field, comment) {
            required.push(field.name());
        }
    }
    json!({"type": "object", "description": documented.comment, "properties": properties, "required": required})
}

/// As `crates/proto/build.rs` has fields left out: messages and optional fields that are absent, and empty texts that
/// are neither `name` nor `type`. What ingest insists on is there as well.
fn is_always_there(field: &FieldDescriptorProto, comment: &str) -> bool {
    if field.label() == Label::Repeated || comment.contains("Required") {
        return true;
    }
    match field.r#type() {
        Type::Message => false,
        _ if field.proto3_optional() => false,
        Type::String => ["name", "type"].contains(&field.name()),
        _ => true,
    }
}

fn member(source: &Source, field: &FieldDescriptorProto, comment: &str) -> Value {
    let one = match field.r#type() {
        Type::Message if field.type_name() == ".google.protobuf.Timestamp" => {
            json!({"type": "string", "format": "date-time"})
        }
        Type::Message => schema::named(short(field.type_name())),
        Type::Enum => json!({"type": "string", "enum": names(source.enums.get(field.type_name()))}),
        Type::Bool => json!({"type": "boolean"}),
        Type::String if field.name() == "due_date" => json!({"type": "string", "format": "date"}),
        Type::String if field.name().ends_with("url") => json!({"type": "string", "format": "uri"}),
        Type::String => json!({"type": "string"}),
        _ if field.name() == "id" => json!({"type": "integer", "format": "int64", "minimum": 1}),
        _ => json!({"type": "integer", "format": "int64"}),
    };
    // A publisher's word for what the receiver can rely on.
    let description = comment.trim_end_matches("Required.").trim_end();
    if field.label() == Label::Repeated {
        return schema::list(one, description);
    }
    schema::described(one, description)
}

/// The names of an enum's values in JSON: `RUN_RESULT_PASSED` of `RunResult` is `passed`. The first value means none.
fn names(found: Option<&EnumDescriptorProto>) -> Vec<String> {
    let values = found.map(|found| found.value.as_slice()).unwrap_or_default();
    let prefix = values.first().and_then(|none| none.name().strip_suffix("UNSPECIFIED")).unwrap_or_default();
    values.iter().skip(1).map(|value| value.name().trim_start_matches(prefix).to_lowercase()).collect()
}
