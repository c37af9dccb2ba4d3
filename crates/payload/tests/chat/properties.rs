//! Limits and escapes hold for any event.

use std::collections::HashSet;

use domain::{EventType, WebhookKind};
use payload::{render, sample};
use proptest::prelude::*;
use proto::v1::Event;
use serde_json::Value;

use crate::{
    TARGETS,
    check::{self, Found},
    events,
};

fn checked(event: &Event, target: WebhookKind) -> (Value, Found) {
    let message = check::limits(target, &render(event, target, true).unwrap());
    let found = check::read(target, &message);
    (message, found)
}

/// Addresses that the event itself has.
fn addresses(event: &Event) -> HashSet<String> {
    let body: Value = serde_json::from_slice(&payload::render_generic(event, false).unwrap()).unwrap();
    let mut all = HashSet::new();
    check::strings(&body, &mut |text| {
        all.insert(text.to_owned());
    });
    all
}

#[test]
fn every_type_shows_its_entity_and_its_project_as_links() {
    for target in TARGETS {
        for kind in EventType::ALL {
            let event = sample(*kind);
            let (_, found) = checked(&event, target);
            let known = addresses(&event);
            assert!(found.links.iter().all(|link| known.contains(link)), "{target} {kind}: {:?}", found.links);
            assert!(found.links.contains(&event.project.as_ref().unwrap().url), "{target} {kind}");
            assert!(found.links.iter().collect::<HashSet<_>>().len() >= 2, "{target} {kind}");
        }
    }
}

/// The same links and the same markup as with harmless text of about that shape.
#[test]
fn hostile_text_changes_nothing_but_the_text() {
    for target in TARGETS {
        for kind in EventType::ALL {
            for text in events::hostile() {
                let lines = text.split(['\n', '\u{2028}']).filter(|line| !line.trim().is_empty()).count();
                // Texts without anything to see are left out, others keep their lines.
                let blank = !text
                    .contains(|letter: char| letter.is_ascii_graphic() || letter > '\u{3FF}' && letter < '\u{5FF}');
                let harmless = if blank { String::new() } else { vec!["x"; lines.max(1)].join("\n") };
                let (message, found) = checked(&events::rewritten(*kind, &|_| text.clone()), target);
                let (_, expected) = checked(&events::rewritten(*kind, &|_| harmless.clone()), target);
                assert_eq!(found, expected, "{target} {kind} {text:?}\n{message:#}");
            }
        }
    }
}

#[test]
fn the_longest_texts_keep_every_limit_and_the_links() {
    for kind in EventType::ALL {
        let usual = TARGETS.map(|target| checked(&sample(*kind), target).1.links);
        for (index, text) in events::extreme().iter().enumerate() {
            // Those that show most of a text get all of it.
            let whole = matches!(kind, EventType::UserMentioned | EventType::ResultIssueLinked);
            let text = if whole { text } else { &text[..text.floor_char_boundary(3000)] };
            let event = events::rewritten(*kind, &|_| text.to_owned());
            let crowded = events::crowded(sample(*kind), 40, &text[..text.floor_char_boundary(100)]);
            for (target, usual) in TARGETS.into_iter().zip(&usual) {
                let (message, found) = checked(&event, target);
                assert_eq!(&found.links, usual, "{target} {kind}\n{message:#}");
                // Each type with some of the texts, each text with some of the types.
                if (index + kind.index()) % 4 == 0 {
                    checked(&crowded, target);
                }
            }
        }
    }
}

#[test]
fn long_addresses_of_the_entity_and_the_project_are_kept() {
    let longest = format!("https://example.testmo.net/{}", "x".repeat(2021));
    assert_eq!(longest.len(), 2048);
    for target in TARGETS {
        for kind in EventType::ALL {
            let (_, found) = checked(&events::relinked(*kind, &longest), target);
            assert!(found.links.len() >= 2 && found.links.iter().all(|link| *link == longest), "{target} {kind}");
            let crowded = events::crowded(events::relinked(*kind, &longest), 60, &"漢&\"".repeat(60));
            let (_, found) = checked(&crowded, target);
            assert!(found.links.iter().filter(|link| **link == longest).count() >= 2, "{target} {kind}");
        }
    }
}

#[test]
fn bad_addresses_are_no_links() {
    let cases = [
        "javascript:alert(1)",
        "data:text/html,x",
        "https://a@b.example/",
        "https://a.b/ c",
        "ftp://a.b",
        "https://a.b/\u{0}",
        "",
    ];
    for target in TARGETS {
        for kind in EventType::ALL {
            for address in cases {
                let (_, found) = checked(&events::relinked(*kind, address), target);
                assert_eq!(found.links, [""; 0], "{target} {kind} {address}");
            }
            for address in ["https://a.b/)|>](x", "https://a.b/?<&\"'`*_~\\[]{}", "https://münchen.example/ü"] {
                let (_, found) = checked(&events::relinked(*kind, address), target);
                for link in found.links {
                    let bad = |letter: char| !letter.is_ascii_graphic() || "()<>|[]{}*`\"'\\".contains(letter);
                    assert!(!link.contains(bad), "{target} {kind} {link}");
                }
            }
        }
    }
}

#[test]
fn addresses_that_one_place_refuses_are_links_in_another() {
    for target in TARGETS {
        for kind in EventType::ALL {
            for address in events::odd_addresses() {
                let (message, found) = checked(&events::relinked(*kind, &address), target);
                assert!(found.links.len() >= 2, "{target} {kind} {address}\n{message:#}");
            }
        }
    }
}

#[test]
fn any_counts_make_a_message() {
    for target in TARGETS {
        for event in events::miscounted() {
            let (message, _) = checked(&event, target);
            assert!(!message.to_string().contains("-1"), "{target}: less than nothing\n{message:#}");
        }
    }
}

/// 100,000 characters in every text, 10,000 tags, changes or links.
#[test]
fn as_much_as_there_can_be_keeps_every_limit() {
    let text = "Größe 漢 👩🏻‍🚀 *<@U1> ".repeat(100_000 / 20);
    let kinds = [EventType::RunCompleted, EventType::CaseAutomationLinksChanged, EventType::UserMentioned];
    for kind in kinds {
        let long = events::rewritten(kind, &|_| text.clone());
        let many = events::crowded(sample(kind), 10_000, "Größe <@U1>");
        for target in TARGETS {
            let (_, usual) = checked(&sample(kind), target);
            assert_eq!(checked(&long, target).1.links, usual.links, "{target} {kind}");
            checked(&many, target);
        }
    }
}

#[test]
fn nothing_at_all_still_makes_a_message() {
    for target in TARGETS {
        for kind in EventType::ALL {
            let event = events::relinked(*kind, "");
            let (message, _) = checked(&Event { user: None, changes: Vec::new(), ..event }, target);
            assert!(!message.to_string().contains(" by "), "{target} {kind}: nobody did it\n{message:#}");
            let blank = events::rewritten(*kind, &|_| String::new());
            let (message, _) = checked(&blank, target);
            assert!(message.to_string().contains('#'), "{target} {kind}: a number stands for a name");
        }
    }
}

#[test]
fn extra_members_are_not_shown() {
    for target in TARGETS {
        for kind in EventType::ALL {
            let extra = Event { extra_json: r#"{"extra":"secret sauce"}"#.into(), ..sample(*kind) };
            assert_eq!(render(&extra, target, false).unwrap(), render(&sample(*kind), target, false).unwrap());
        }
    }
}

#[test]
fn what_ingest_refuses_is_refused() {
    for target in TARGETS {
        let good = || sample(EventType::CaseUpdated);
        let bad = |alter: &dyn Fn(&mut Event)| {
            let mut event = good();
            alter(&mut event);
            render(&event, target, false).unwrap_err().to_string()
        };
        assert!(bad(&|event| event.data = None).contains("`data`"));
        assert!(bad(&|event| event.project = None).contains("`project`"));
        assert!(bad(&|event| event.created_at = None).contains("`created_at`"));
        assert!(bad(&|event| event.changes[0].to_json = "{".into()).contains("`changes.name`"));
    }
}

/// Our own punctuation beside a text completes nothing that the text began.
#[test]
fn text_means_nothing_with_what_stands_beside_it() {
    for beginning in [":u", "u:", ":", "*", "_a", "`", "<", "<!", "[a](", "\\", "@", "a_", "https:", "1."] {
        for event_type in EventType::ALL.iter().copied() {
            let event = events::rewritten(event_type, &|_: &str| beginning.to_owned());
            let known = addresses(&event);
            for target in TARGETS {
                let (_, found) = checked(&event, target);
                assert!(found.links.iter().all(|link| known.contains(link)), "{beginning}: {:?}", found.links);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any text, anywhere: the limits hold and every link is one of the event's.
    #[test]
    fn any_text_is_only_text(
        index in 0..EventType::ALL.len(),
        texts in prop::collection::vec(
            prop_oneof![any::<String>(), "[-<>*_~`@#&|:/!\\[\\]()\\\\{}$.+1a \n]{0,200}", "\\PC{0,300}"],
            1..6,
        ),
        repeat in prop_oneof![Just(1_usize), Just(30)],
    ) {
        let next = std::cell::Cell::new(0);
        let text = |_: &str| {
            next.set(next.get() + 1);
            texts[next.get() % texts.len()].repeat(repeat)
        };
        let event = events::rewritten(EventType::ALL[index], &text);
        let known = addresses(&event);
        for target in TARGETS {
            let (_, found) = checked(&event, target);
            prop_assert!(found.links.iter().all(|link| known.contains(link)), "{:?}", found.links);
        }
    }
}
