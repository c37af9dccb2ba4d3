//! What the demo does: webhooks of each type to receivers, an event of every type, and the tale of what arrived.

use std::{net::SocketAddr, path::Path, sync::PoisonError, time::Duration};

use anyhow::{Context as _, bail};
use domain::{EventSelector, EventType, IdSource as _, SystemIds, WebhookKind};
use http::Method;
use proto::v1::Event;
use serde_json::{Value, json};
use tokio::{sync::mpsc, task::JoinSet, time::Instant};
use tokio_rustls::TlsAcceptor;

use super::{
    outcome::{Counts, Outcome, shortened, show},
    receiver::{Arrival, Manner, Receiver},
};
use crate::{
    commands::{publish::Publisher, read_token},
    out::say,
    rest::{Rest, expect},
};

/// How long everything may take to arrive; the schedule alone takes 3 s.
const PATIENCE: Duration = Duration::from_secs(30);
/// Room for an address, so that a line fits 120 columns.
const ADDRESS: usize = 80;

/// What each chat wants: together every event type, each once.
const CHATS: [(WebhookKind, &[&str]); 3] = [
    (WebhookKind::Slack, &["run.*", "case.*", "user.mentioned"]),
    (WebhookKind::Teams, &["milestone.*", "session.*", "result.*"]),
    (WebhookKind::Discord, &["automation_run.*", "job.*"]),
];

/// A receiver's part: which events it gets.
struct Part {
    receiver: Receiver,
    wanted: &'static [&'static str],
}

/// The event types that a choice selects.
fn selected(wanted: &[&str]) -> anyhow::Result<Vec<EventType>> {
    let selectors: Vec<EventSelector> = wanted.iter().map(|name| name.parse()).collect::<Result<_, _>>()?;
    Ok(EventSelector::expand(&selectors))
}

impl Part {
    async fn generic(name: &'static str, manner: Manner, wanted: &'static [&'static str]) -> anyhow::Result<Self> {
        Ok(Self { receiver: Receiver::generic(name, manner).await?, wanted })
    }

    /// The history entries of one event.
    const fn entries(&self) -> Counts {
        match self.receiver.manner {
            Manner::Healthy => Counts { delivered: 1, failed: 0 },
            Manner::FailsTwice => Counts { delivered: 1, failed: 2 },
            Manner::Gone => Counts { delivered: 0, failed: 1 },
        }
    }
}

/// A webhook that was made for a receiver.
struct Webhook {
    id: i64,
    /// The history entries that it will have.
    entries: Counts,
    /// Where it posts to.
    url: String,
    kind: WebhookKind,
}

/// What the story is played on. The receivers go on for as long as it is there.
pub(super) struct Stage {
    rest: Rest,
    publisher: Publisher,
    webhooks: Vec<Webhook>,
    arrivals: mpsc::UnboundedReceiver<Arrival>,
    _receivers: JoinSet<()>,
}

impl Stage {
    /// Starts the receivers, those of chats with `tls`, and makes their webhooks.
    pub(super) async fn set(
        http: SocketAddr,
        grpc: SocketAddr,
        data: &Path,
        tls: &TlsAcceptor,
    ) -> anyhow::Result<Self> {
        let rest = Rest::new(&http.to_string(), Some(read_token(None, data, "admin.token")?))?;
        let publisher = Publisher::connect(&grpc.to_string(), &read_token(None, data, "publisher.token")?).await?;
        let mut parts = vec![
            Part::generic("healthy", Manner::Healthy, &["*"]).await?,
            Part::generic("fails-twice", Manner::FailsTwice, &["automation_run.*"]).await?,
            Part::generic("gone", Manner::Gone, &["milestone.*"]).await?,
        ];
        for (kind, wanted) in CHATS {
            parts.push(Part { receiver: Receiver::chat(kind, tls, &SystemIds).await?, wanted });
        }
        let mut webhooks = Vec::new();
        let (sender, arrivals) = mpsc::unbounded_channel();
        let mut receivers = JoinSet::new();
        for part in parts {
            webhooks.push(create_webhook(&rest, &part).await?);
            receivers.spawn(part.receiver.run(sender.clone()));
        }
        say!()?;
        Ok(Self { rest, publisher, webhooks, arrivals, _receivers: receivers })
    }

    /// Publishes, and tells what arrives until that is everything, or too late.
    pub(super) async fn play(&mut self) -> anyhow::Result<Outcome> {
        let expected = self.webhooks.iter().map(|webhook| webhook.entries.all()).sum();
        let mut outcome = Outcome::new(publish(&mut self.publisher).await?, expected);
        let deadline = Instant::now() + PATIENCE;
        while outcome.arrived < outcome.expected {
            match tokio::time::timeout_at(deadline, self.arrivals.recv()).await {
                Ok(Some(arrival)) => {
                    outcome.note(&arrival);
                    show(&arrival)?;
                }
                _ => {
                    outcome.surprises.push(format!("nothing more came within {} s", PATIENCE.as_secs()));
                    break;
                }
            }
        }
        for webhook in &self.webhooks {
            check_history(&self.rest, webhook, deadline, &mut outcome).await?;
        }
        // What came more often than it should.
        while let Ok(arrival) = self.arrivals.try_recv() {
            outcome.note(&arrival);
            show(&arrival)?;
        }
        Ok(outcome)
    }

    /// Tells what arrives, for ever.
    pub(super) async fn go_on(&mut self) -> anyhow::Result<()> {
        while let Some(arrival) = self.arrivals.recv().await {
            show(&arrival)?;
        }
        Ok(())
    }
}

async fn create_webhook(rest: &Rest, part: &Part) -> anyhow::Result<Webhook> {
    let Part { receiver: Receiver { name, kind, secret, .. }, wanted } = part;
    let (kind, url) = (*kind, part.receiver.url());
    let body = json!({
        "name": format!("demo: {name}"), "url": url, "type": kind.name(), "events": wanted, "projects": null,
        "allow_insecure": kind == WebhookKind::Generic,
    });
    let made = expect(rest.send(Method::POST, "/api/v1/webhooks", Some(&body)).await?);
    let made = made.with_context(|| format!("webhook {name} was not made"))?;
    let webhook = &made["result"];
    let text = webhook["secret"].as_str().unwrap_or_default().parse().context("the answer holds no secret")?;
    *secret.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
    let id = webhook["id"].as_i64().context("the answer holds no id")?;
    let events = selected(wanted)?.len();
    say!("webhook {id} → {name:<11} {events:>2} event types  {}", shortened(&url, ADDRESS))?;
    let one = part.entries();
    let entries = Counts { delivered: one.delivered * events, failed: one.failed * events };
    Ok(Webhook { id, entries, url, kind })
}

async fn publish(publisher: &mut Publisher) -> anyhow::Result<usize> {
    let event = |kind: &EventType| Event {
        id: SystemIds.uuid().to_string(),
        instance: String::new(),
        ..payload::sample(*kind)
    };
    let events: Vec<Event> = EventType::ALL.iter().map(event).collect();
    let answers = publisher.publish(&events).await;
    if let Some(failure) = answers.failure {
        bail!("the events were not accepted: {failure}");
    }
    for (kind, result) in EventType::ALL.iter().zip(&answers.results) {
        if let Some(Err(error)) = result {
            bail!("{kind} was not accepted: {error}");
        }
    }
    Ok(events.len())
}

/// Waits until a webhook's history holds every attempt, and looks whether it says of each what came of it.
async fn check_history(rest: &Rest, webhook: &Webhook, deadline: Instant, outcome: &mut Outcome) -> anyhow::Result<()> {
    let Webhook { id, entries: expected, url, kind } = webhook;
    let path = format!("/api/v1/webhooks/{id}/deliveries?per_page=100");
    loop {
        let answer = expect(rest.send(Method::GET, &path, None).await?)?;
        let entries = answer["result"].as_array().map_or(&[][..], Vec::as_slice);
        let count = |status: &str| entries.iter().filter(|entry| entry["status"] == status).count();
        let counts = Counts { delivered: count("delivered"), failed: count("failed") };
        let pending = entries.len() - counts.all();
        if (pending > 0 || counts.all() < expected.all()) && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        }
        outcome.history += counts;
        if (counts, pending) != (*expected, 0) {
            let surprise = format!("history of webhook {id}: {counts}, {pending} pending, instead of {expected}");
            outcome.surprises.push(surprise);
        }
        if *kind != WebhookKind::Generic {
            check_masked(entries, *id, url, outcome)?;
        }
        return Ok(());
    }
}

/// A chat's address is a secret: history must not show more than its host.
fn check_masked(entries: &[Value], id: i64, url: &str, outcome: &mut Outcome) -> anyhow::Result<()> {
    let (_, secret) = url.split_once("//").and_then(|(_, rest)| rest.split_once('/')).context("an address")?;
    let expected = format!("{}…", url.strip_suffix(secret).context("an address")?);
    let masked = |entry: &Value| entry["url"] == expected && !entry.to_string().contains(secret);
    if entries.iter().all(masked) {
        outcome.masked.get_or_insert(expected);
    } else {
        outcome.surprises.push(format!("history of webhook {id} does not mask its address"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_type_is_shown_in_one_chat() {
        let mut shown: Vec<EventType> = Vec::new();
        for (_, wanted) in CHATS {
            shown.extend(selected(wanted).unwrap());
        }
        shown.sort_by_key(|event| EventType::ALL.iter().position(|other| other == event));
        assert_eq!(shown, EventType::ALL);
    }
}
