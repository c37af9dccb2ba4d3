//! The receivers that misbehave, and the webhooks that lead to them.

use std::{rc::Rc, time::Duration};

use blackbox::{
    history::{self, Entry},
    receiver::{Authority, Listener, Receiver},
    rest::Rest,
    webhooks,
};
use futures::{StreamExt as _, stream};
use serde_json::json;

use super::{
    ATTEMPTS, BAD, FOLLOWED, TIMEOUT, TOLERANCE,
    kinds::{self, At, Kind},
};

/// Bytes of an answer's body that are kept.
const KEPT: usize = 64 << 10;
const LOCALHOST: &str = "127.0.0.1";
/// Saves at a time.
const SAVES: usize = 4;

/// Everything that listens.
pub(super) struct Zoo {
    plain: Receiver,
    trusted: Receiver,
    self_signed: Receiver,
    expired: Receiver,
    wrong_host: Receiver,
    silent: Listener,
    talking: Listener,
    deaf: Listener,
    kinds: Vec<Rc<Kind>>,
}

/// A webhook that leads to a kind of them.
pub(super) struct Captive {
    pub(super) webhook: i64,
    /// Which one of its kind.
    pub(super) copy: usize,
    kind: Rc<Kind>,
}

impl Zoo {
    pub(super) async fn open(authority: &Authority) -> Self {
        Self {
            plain: Receiver::start().await,
            trusted: Receiver::start_tls(authority, LOCALHOST).await,
            self_signed: Receiver::start_tls(&Authority::new(), LOCALHOST).await,
            expired: Receiver::start_tls_expired(authority, LOCALHOST).await,
            wrong_host: Receiver::start_tls(authority, "receiver.example").await,
            silent: Listener::silent(),
            talking: Listener::says("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"),
            deaf: Listener::deaf(),
            kinds: kinds::all().into_iter().map(Rc::new).collect(),
        }
    }

    /// Webhooks for [`BAD`], so many of each kind.
    pub(super) async fn create_webhooks(&mut self, rest: &Rest, each: usize) -> Vec<Captive> {
        let all = self.kinds.iter().flat_map(|kind| (0..each).map(move |copy| (Rc::clone(kind), copy)));
        let made = all.map(async |(kind, copy)| {
            let mut body = webhooks::generic(&self.url(&kind, copy));
            body["projects"] = json!([BAD]);
            body["allow_insecure"] = json!(kind.insecure);
            Captive { webhook: webhooks::create(rest, body).await.id, copy, kind }
        });
        stream::iter(made.collect::<Vec<_>>()).buffer_unordered(SAVES).collect().await
    }

    /// How many requests followed a redirect.
    pub(super) fn followed(&self) -> usize {
        self.plain.count(FOLLOWED)
    }

    /// Where a webhook of this kind posts to; what is scripted answers there as it should.
    fn url(&self, kind: &Kind, copy: usize) -> String {
        let path = format!("/{}/{copy}", kind.name);
        match kind.at {
            At::Plain => {
                self.plain.script(&path, kind.answer.clone());
                self.plain.url(&path)
            }
            At::Tls => self.trusted.url(&path),
            At::SelfSigned => self.self_signed.url(&path),
            At::Expired => self.expired.url(&path),
            At::WrongHost => self.wrong_host.url(&path),
            At::Silent => self.silent.url("https", &path),
            At::PlainOnTls => self.talking.url("https", &path),
            At::Deaf => self.deaf.url("http", &path),
            // A port that no program may listen on but by its number: nobody does.
            At::Closed => format!("http://{LOCALHOST}:1{path}"),
        }
    }
}

impl Captive {
    /// What is wrong with its attempts: they are as many as they should be, and each ended in time and as it should.
    pub(super) fn complaints(&self, entries: &[Entry]) -> Vec<String> {
        let kind = &self.kind;
        let expected = if kind.is_repeated() { ATTEMPTS } else { 1 };
        let count = (entries.len() != expected).then(|| format!("{}: {} attempts", kind.name, entries.len()));
        let wrong = entries.iter().filter(|entry| !self.allows(entry));
        count.into_iter().chain(wrong.map(|entry| format!("{}: {}", kind.name, entry.0))).collect()
    }

    fn allows(&self, entry: &Entry) -> bool {
        let kind = &self.kind;
        let status = if kind.class.is_empty() { "delivered" } else { "failed" };
        let waited = kind.class != "timeout" || entry.duration() >= Duration::from_millis(3_900);
        entry.error().split(": ").next() == Some(kind.class)
            && entry.response_code() == kind.code
            && entry.status() == status
            && entry.duration() <= TIMEOUT + TOLERANCE
            && waited
    }

    /// No more of a body is kept than may be, and what is cut is marked.
    pub(super) async fn check_body(&self, rest: &Rest, entry: &Entry) {
        let delivery = history::delivery(rest, entry.delivery()).await.expect("what is on the list");
        for entry in delivery.entries() {
            let body = entry.response_bytes();
            assert!(body.len() <= KEPT, "{}: {} bytes are kept", self.kind.name, body.len());
            assert_eq!(entry.is_cut(), self.kind.cut, "{}", self.kind.name);
            assert_eq!(body.len() == KEPT, self.kind.cut, "{}: {} bytes are kept", self.kind.name, body.len());
            if let Some(sent) = &self.kind.body {
                assert!(body == *sent, "{}: it is not the body that was sent", self.kind.name);
            }
        }
    }
}
