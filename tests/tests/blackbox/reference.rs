//! `docs/receivers/payload.md`, the payload reference for those who write receivers, is what the running product says
//! of its payloads: this makes the page from its OpenAPI document and its catalogue, and compares.

mod members;
mod page;
mod schemas;

use std::{fs, path::Path};

use blackbox::{
    product::{Mode, Product},
    rest::Rest,
    run_test,
};

use self::{members::Sample, schemas::Schemas};
use super::guides::markdown;

const PAGE: &str = "docs/receivers/payload.md";
const UPDATE: &str = "UPDATE_DOCS=1 cargo test -p blackbox --all-features --test blackbox -- reference";

/// A type of event, as the catalogue has it.
struct EventType {
    name: String,
    group: String,
    title: String,
    sample: Sample,
}

/// In one mode: the answers that the page is made from are the same constants in both.
#[test]
fn the_payload_reference_is_what_the_product_says() {
    run_test(async {
        let product = Product::start(Mode::Embedded).await;
        let rest = product.admin();
        let events = catalogue(&rest).await;
        let document = rest.get("/api/v1/openapi.json").await;
        assert_eq!(document.status, 200, "{}", document.json);
        let schemas = Schemas::new(&document.json, &events);
        let made = page::render(&document.json, &schemas, &events);

        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(PAGE);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            fs::write(&file, &made).expect("the folder of the page");
        }
        let kept = fs::read_to_string(&file).unwrap_or_default();
        if let Some(line) = first_difference(&kept, &made) {
            panic!("{PAGE} is not what the product says from line {line} on; write it with: {UPDATE}");
        }
        markdown::check_links(&file);
        for condition in markdown::conditions(&made) {
            markdown::check_condition(&rest, &condition).await;
        }
    });
}

/// The number of the first line that differs, from 1.
fn first_difference(kept: &str, made: &str) -> Option<usize> {
    let (mut kept, mut made) = (kept.split('\n'), made.split('\n'));
    (1..).find_map(|number| match (kept.next(), made.next()) {
        (None, None) => Some(None),
        (one, other) => (one != other).then_some(Some(number)),
    })?
}

async fn catalogue(rest: &Rest) -> Vec<EventType> {
    let answer = rest.get("/api/v1/webhooks/events").await;
    assert_eq!(answer.status, 200, "{}", answer.json);
    let samples = members::samples(&answer.bytes);
    let entries = answer.json["result"].as_array().expect("the types of events").iter();
    let events: Vec<_> = entries
        .zip(samples)
        .map(|(entry, sample)| {
            let text = |member: &str| entry[member].as_str().expect("a text").to_owned();
            EventType { name: text("event"), group: text("group"), title: text("title"), sample }
        })
        .collect();
    assert_eq!(events.len(), 23, "types of events in the catalogue");
    events
}
