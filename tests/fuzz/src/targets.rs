//! The targets.

use std::{cell::RefCell, path::PathBuf};

use dispatcher::fuzzing::Endpoint;
use domain::{
    AddressPolicy, Filter, Secret, StandardHeaders, SystemClock, TraceContext, WebhookKind,
    target::{mask, parse},
};
use prost::Message as _;
use proto::{
    event::from_json,
    v1::{CreateWebhookRequest, Event},
};

use crate::{Target, seeds};

const KINDS: [WebhookKind; 4] = [WebhookKind::Generic, WebhookKind::Slack, WebhookKind::Teams, WebhookKind::Discord];

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "publish", run: publish, seeds: seeds::publish_requests, words: seeds::TEXTS },
    Target { name: "event_json", run: event_json, seeds: seeds::event_lines, words: seeds::JSON },
    Target { name: "webhook_json", run: webhook_json, seeds: seeds::webhook_bodies, words: seeds::JSON },
    Target { name: "webhook", run: webhook, seeds: seeds::webhook_requests, words: seeds::TEXTS },
    Target { name: "question", run: question, seeds: seeds::questions, words: seeds::JSON },
    Target { name: "query", run: query, seeds: seeds::queries, words: seeds::QUERY },
    Target { name: "cursor", run: cursor, seeds: seeds::cursors, words: &[] },
    Target { name: "token", run: token, seeds: seeds::tokens, words: seeds::TOKEN },
    Target { name: "url", run: url, seeds: seeds::urls, words: seeds::URL },
    Target { name: "filter", run: filter, seeds: seeds::filters, words: seeds::FILTER },
    Target { name: "headers", run: headers, seeds: seeds::headers, words: seeds::HEADERS },
    Target { name: "event_message", run: event_message, seeds: seeds::event_messages, words: seeds::TEXTS },
    Target { name: "delivery_message", run: delivery_message, seeds: seeds::delivery_messages, words: &[] },
    Target { name: "record_message", run: record_message, seeds: seeds::record_messages, words: &[] },
    Target { name: "configuration", run: configuration, seeds: seeds::configurations, words: seeds::TOML },
    Target { name: "apply", run: apply, seeds: seeds::apply_files, words: seeds::YAML },
    Target { name: "answer", run: answer, seeds: seeds::answers, words: seeds::HTTP },
];

/// No input holds it.
const MARK: &str = "a-value-that-is-a-secret";

/// What is refused is refused with a text of bounded length: nobody's log and no answer grows with what was sent.
fn told(refused: &str, input: &[u8]) {
    assert!(!refused.is_empty(), "refused without a reason");
    let most = 64 * 1024 + 8 * input.len();
    assert!(refused.len() <= most, "{} bytes to refuse {}", refused.len(), input.len());
}

fn check<T>(result: Result<T, String>, input: &[u8]) -> Option<T> {
    result.map_err(|refused| told(&refused, input)).ok()
}

/// An event that is taken can be dispatched.
fn accepted(event: Option<Event>, input: &[u8]) {
    if let Some(body) = check(ingest::fuzzing::event(event), input) {
        dispatched(&body);
    }
}

fn dispatched(body: &[u8]) {
    let dispatched = dispatcher::fuzzing::event(body);
    assert_eq!(dispatched, Ok(()), "what is accepted can be sent");
}

fn publish(input: &[u8]) {
    if let Some(body) = check(ingest::fuzzing::request(input), input) {
        dispatched(&body);
    }
}

fn event_json(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    if let Some(event) = check(from_json(text).map_err(|error| error.to_string()), input) {
        accepted(Some(event), input);
    }
}

fn webhook_json(input: &[u8]) {
    if let Some(request) = check(gateway::fuzzing::webhook(input), input) {
        check(subscription::fuzzing::webhook(request), input);
    }
}

fn webhook(input: &[u8]) {
    if let Ok(request) = CreateWebhookRequest::decode(input) {
        check(subscription::fuzzing::webhook(request), input);
    }
}

fn question(input: &[u8]) {
    check(gateway::fuzzing::question(input), input);
}

fn query(input: &[u8]) {
    if let Ok(text) = str::from_utf8(input) {
        check(gateway::fuzzing::query(text), input);
    }
}

fn cursor(input: &[u8]) {
    if let Ok(text) = str::from_utf8(input) {
        check(history::fuzzing::cursor(text), input);
    }
}

fn token(input: &[u8]) {
    if let Ok(text) = str::from_utf8(input) {
        check(subscription::fuzzing::token(text), input);
    }
}

/// A URL that is taken is the same when it is read again, names a host, and shows no secret when it is masked.
fn url(input: &[u8]) {
    let Some((how, text)) = input.split_first() else { return };
    let Ok(text) = str::from_utf8(text) else { return };
    let kind = KINDS[usize::from(how % 4)];
    let insecure = how & 4 != 0;
    let Some(url) = check(parse(text, kind, insecure).map_err(|error| error.to_string()), input) else { return };
    assert_eq!(parse(url.as_str(), kind, insecure).as_ref(), Ok(&url), "{url} is another when it is read again");
    assert!(url.has_host() && url.username().is_empty() && url.password().is_none(), "{url}");
    let _ = AddressPolicy::new(Vec::new()).check_host(&url);
    let masked = mask(&url, kind);
    assert!(!masked.contains(['\n', '\r', '\0']), "{masked:?}");
    // With other values, because one of these may stand elsewhere in the URL too.
    let marked = |part: &str| part.split_once('=').map_or(MARK.to_owned(), |(name, _)| format!("{name}={MARK}"));
    let mut other = url.clone();
    other.set_query(url.query().map(|query| query.split('&').map(marked).collect::<Vec<_>>().join("&")).as_deref());
    let masked = mask(&other, kind);
    assert!(!masked.contains(MARK), "{masked} shows a value of its query");
}

/// A filter that is taken is the same when it is read again, and decides as it explains.
fn filter(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let conditions: Vec<String> = text.lines().map(str::to_owned).collect();
    let parsed = Filter::parse(&conditions).map_err(|errors| format!("{errors:?}"));
    let Some(filter) = check(parsed, input) else { return };
    let texts: Vec<String> = filter.texts().map(str::to_owned).collect();
    assert_eq!(Filter::parse(&texts).as_ref(), Ok(&filter));
    let _ = filter.warnings();
    for payload in seeds::payloads() {
        let explained = filter.explain(payload).iter().all(|outcome| outcome.holds);
        assert_eq!(filter.accepts(payload), explained);
    }
}

/// What comes in headers: a publisher's trace, and signatures that `verify` is given.
fn headers(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let mut lines = text.splitn(4, '\n');
    let [id, timestamp, signature] = [(); 3].map(|()| lines.next().unwrap_or_default());
    if let Some(trace) = TraceContext::parse(signature) {
        assert_eq!(TraceContext::parse(&trace.to_string()), Some(trace));
        assert_eq!(TraceContext::from_bytes(&trace.to_bytes()), Some(trace));
    }
    let Ok(secret) = seeds::SECRET.parse::<Secret>() else { unreachable!("the secret is good") };
    let standard = StandardHeaders { id, timestamp, signatures: signature };
    let now = domain::Clock::now(&SystemClock);
    let results = [
        secret.verify_standard(&standard, b"{}"),
        secret.verify_body(b"{}", signature),
        standard.check_time(now, std::time::Duration::from_secs(300)),
    ];
    for result in results {
        check(result.map_err(|error| error.to_string()), input);
    }
}

fn event_message(input: &[u8]) {
    check(dispatcher::fuzzing::event(input), input);
}

fn delivery_message(input: &[u8]) {
    check(dispatcher::fuzzing::delivery(input), input);
}

fn record_message(input: &[u8]) {
    check(history::fuzzing::records(input), input);
}

/// A file, and the same text as an environment variable: `KEY=VALUE` in its first line.
fn configuration(input: &[u8]) {
    thread_local! {
        static FILE: (tempfile::TempDir, PathBuf) = {
            let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder");
            let path = folder.path().join("webhooks.toml");
            (folder, path)
        };
    }
    FILE.with(|(_, path)| {
        std::fs::write(path, input).expect("it can be written");
        let read = runtime::config::Config::from_sources(Some(path), []);
        check(read.map(drop).map_err(|error| error.to_string()), input);
    });
    let Some((key, value)) = str::from_utf8(input).ok().and_then(|text| text.lines().next()?.split_once('=')) else {
        return;
    };
    let name = format!("{}{}", runtime::config::ENV_PREFIX, key.trim().to_uppercase().replace('.', "__"));
    let read = runtime::config::Config::from_sources(None, [(name.into(), value.trim().into())]);
    check(read.map(drop).map_err(|error| error.to_string()), input);
}

/// Each of the first 100 mistakes may quote what it is about, to whoever has written it.
fn apply(input: &[u8]) {
    if let Err(refused) = cli::fuzzing::apply_file(input) {
        assert!(!refused.is_empty() && refused.len() <= 64 * 1024 + 400 * input.len(), "{} bytes", refused.len());
    }
}

fn answer(input: &[u8]) {
    thread_local! {
        static ENDPOINT: RefCell<Option<Endpoint>> = const { RefCell::new(None) };
    }
    ENDPOINT.with_borrow_mut(|endpoint| {
        let endpoint = endpoint.get_or_insert_with(|| Endpoint::new().expect("a free port"));
        check(endpoint.answer(input), input);
    });
}
