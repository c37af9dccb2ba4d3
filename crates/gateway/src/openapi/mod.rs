//! The OpenAPI document: what every resource says of itself, put together once at the start.

mod entities;
mod errors;
mod operation;
mod outbound;
pub(crate) mod schema;

use domain::EventType;
use serde_json::{Map, Value, json};

use crate::Catalogue;

use entities::Source;

pub(crate) use operation::{Operation, Route};

/// What operations are grouped by.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tag {
    Webhooks,
    Deliveries,
    Events,
    Projects,
    Settings,
    Tokens,
    Documentation,
}

impl Tag {
    const ALL: [Self; 7] = [
        Self::Webhooks,
        Self::Deliveries,
        Self::Events,
        Self::Projects,
        Self::Settings,
        Self::Tokens,
        Self::Documentation,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Webhooks => "Webhooks",
            Self::Deliveries => "Deliveries",
            Self::Events => "Events",
            Self::Projects => "Projects",
            Self::Settings => "Settings",
            Self::Tokens => "Tokens",
            Self::Documentation => "Documentation",
        }
    }

    const fn description(self) -> &'static str {
        match self {
            Self::Webhooks => "Subscriptions to events: which events of which projects are posted where.",
            Self::Deliveries => "History: every attempt, and what still waits.",
            Self::Events => "What can happen, and what is posted then.",
            Self::Projects => "The directory of projects.",
            Self::Settings => "How long history is kept. For a `system_admin` only.",
            Self::Tokens => "Who may use the API. For a `system_admin` only.",
            Self::Documentation => "This description.",
        }
    }
}

const DESCRIPTION: &str = "\
Manages the webhooks of Testmo and shows their history. Addresses are below `/api/v1`; bodies are JSON in UTF-8.

**Tokens.** Send `Authorization: Bearer <token>`. A `system_admin` may do everything in its instance; a `project_admin` \
manages the webhooks whose scope is a non-empty part of its projects, and other objects do not exist for it (404). A \
request is looked through in this order: token (401), role (403), path (404), then query, headers and body.

**Strict requests.** Unknown or repeated query parameters and members of a body are refused with 422, and so are \
members that are read only. All mistakes are told at once, by name, in `errors`.

**Open answers.** Members may be added to answers and payloads at any time: ignore what you do not know.

**Lists** have pages: `page` from 1, `per_page` one of 15, 25, 50, 100. Lists of deliveries have cursors instead.

**Versions.** Every answer that shows a webhook has its version, as a member and as a strong `ETag`. Send it back as \
`If-Match` with a change, and the change is made only if nobody was faster (else 412). Without `If-Match` the last \
change wins.

**Methods.** Where GET is possible, HEAD is. Any other method on a known address is answered 405 with `Allow`, any \
unknown address 404; neither asks for a token.

**Caching.** No answer may be stored (`Cache-Control: no-store`).";

/// The document of these routes, with the samples of this catalogue.
pub(crate) fn document(routes: &[Route], catalogue: &Catalogue) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for route in routes {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.as_str().to_lowercase()] = route.operation.document();
    }
    let source = Source::new();
    let tags = Tag::ALL.map(|tag| json!({"name": tag.name(), "description": tag.description()}));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Testmo Webhooks",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Subscriptions to events of Testmo, and the history of their deliveries.",
            "description": DESCRIPTION,
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/api/v1", "description": "This server."}],
        "security": [{"token": []}],
        "tags": tags,
        "paths": paths,
        "webhooks": outbound::webhooks(&source, catalogue),
        "components": {
            "securitySchemes": {"token": {
                "type": "http", "scheme": "bearer",
                "description": "An API token of role `system_admin` or `project_admin`, or a JWT that Testmo core signed.",
            }},
            "parameters": outbound::headers(),
            "responses": errors::responses(),
            "schemas": schemas(&source),
        },
    })
}

fn schemas(source: &Source) -> Map<String, Value> {
    let own = [("Error", errors::schema())];
    let resources = own
        .into_iter()
        .chain(crate::webhooks::schemas())
        .chain(crate::deliveries::schemas())
        .chain(crate::replays::schemas())
        .chain(crate::stats::schemas())
        .chain(crate::events::schemas())
        .chain(crate::projects::schemas())
        .chain(crate::settings::schemas())
        .chain(crate::tokens::schemas())
        .map(|(name, schema)| (name.to_owned(), schema));
    resources.chain(source.schemas()).chain(outbound::schemas(source)).collect()
}

/// A page of objects of this schema, by its name.
fn page(schema: &str) -> Value {
    let number = |description| schema::integer(1, i64::MAX, description);
    schema::object([
        ("page", number("This page.")),
        ("prev_page", schema::or_null(number("The page before; null: there is none."))),
        ("next_page", schema::or_null(number("The page after; null: there is none."))),
        ("last_page", number("The last page.")),
        ("per_page", schema::integer(15, 100, "How many on a page.")),
        ("total", schema::count("How many on all pages.")),
        ("result", schema::list(schema::named(schema), "The page.")),
    ])
}

/// The event types and the wildcards that stand for several.
pub(crate) fn event_selectors() -> Vec<String> {
    let mut selectors = vec!["*".to_owned()];
    for event in EventType::ALL {
        let wildcard = format!("{}.*", event.family());
        if !selectors.contains(&wildcard) {
            selectors.push(wildcard);
        }
        selectors.push(event.name().to_owned());
    }
    selectors
}
