//! What the demo does: webhooks to three receivers, an event of every type, and the tale of what arrived.

use std::{collections::BTreeMap, fmt, net::SocketAddr, path::Path, sync::PoisonError, time::Duration};

use anyhow::{Context as _, bail};
use domain::{EventType, IdSource as _, SystemIds};
use http::Method;
use proto::v1::Event;
use serde_json::{Value, json};
use tokio::{sync::mpsc, task::JoinSet, time::Instant};

use super::receiver::{Arrival, Manner, Receiver};
use crate::{
    commands::{publish::Publisher, read_token},
    out::say,
    rest::Rest,
};

/// How long everything may take to arrive; the schedule alone takes 3 s.
const PATIENCE: Duration = Duration::from_secs(30);

/// What arrived, beside what should have.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    events: usize,
    expected: usize,
    arrived: usize,
    unverified: usize,
    surprises: Vec<String>,
    history: BTreeMap<String, usize>,
}

impl Outcome {
    /// Whether everything is as it should be.
    pub(super) fn complete(&self) -> bool {
        self.arrived == self.expected && self.unverified == 0 && self.surprises.is_empty()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "{} events published, {} of {} attempts arrived, {} signatures wrong",
            self.events, self.arrived, self.expected, self.unverified
        )?;
        let history: Vec<String> = self.history.iter().map(|(status, count)| format!("{count} {status}")).collect();
        writeln!(formatter, "history: {}", history.join(", "))?;
        for surprise in &self.surprises {
            writeln!(formatter, "unexpected: {surprise}")?;
        }
        formatter.write_str(if self.complete() {
            "Everything arrived as expected."
        } else {
            "Not everything arrived as expected."
        })
    }
}

/// A receiver's part: which events it gets.
struct Part {
    receiver: Receiver,
    events: Vec<EventType>,
}

impl Part {
    async fn new(name: &'static str, manner: Manner, wanted: impl Fn(&str) -> bool) -> anyhow::Result<Self> {
        let events = EventType::ALL.iter().copied().filter(|kind| wanted(kind.name())).collect();
        Ok(Self { receiver: Receiver::bind(name, manner).await?, events })
    }

    /// Statuses of its history entries, attempt by attempt, for each event that it gets.
    const fn answers(&self) -> &'static [u16] {
        match self.receiver.manner {
            Manner::Healthy => &[200],
            Manner::FailsTwice => &[503, 503, 200],
            Manner::Gone => &[410],
        }
    }
}

/// What the story is played on. The receivers go on for as long as it is there.
pub(super) struct Stage {
    rest: Rest,
    publisher: Publisher,
    /// Webhooks, each with how many history entries it will have.
    webhooks: Vec<(i64, usize)>,
    arrivals: mpsc::UnboundedReceiver<Arrival>,
    _receivers: JoinSet<()>,
}

impl Stage {
    /// Starts the receivers and makes their webhooks.
    pub(super) async fn set(http: SocketAddr, grpc: SocketAddr, data: &Path) -> anyhow::Result<Self> {
        let rest = Rest::new(&http.to_string(), Some(read_token(None, data, "admin.token")?))?;
        let publisher = Publisher::connect(&grpc.to_string(), &read_token(None, data, "publisher.token")?).await?;
        let parts = [
            Part::new("healthy", Manner::Healthy, |_| true).await?,
            Part::new("fails-twice", Manner::FailsTwice, |name| name.starts_with("automation_run.")).await?,
            Part::new("gone", Manner::Gone, |name| name.starts_with("milestone.")).await?,
        ];
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
        let expected = self.webhooks.iter().map(|(_, entries)| entries).sum();
        let mut outcome = Outcome { events: publish(&mut self.publisher).await?, expected, ..Outcome::default() };
        let deadline = Instant::now() + PATIENCE;
        while outcome.arrived < outcome.expected {
            match tokio::time::timeout_at(deadline, self.arrivals.recv()).await {
                Ok(Some(arrival)) => outcome.note(&arrival)?,
                _ => {
                    outcome.surprises.push(format!("nothing more came within {} s", PATIENCE.as_secs()));
                    break;
                }
            }
        }
        for (id, expected) in &self.webhooks {
            outcome.check_history(&self.rest, *id, *expected, deadline).await?;
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

fn show(arrival: &Arrival) -> anyhow::Result<()> {
    let Arrival { receiver, event, delivery, attempt, answered, verified } = arrival;
    let signature = if *verified { "signature ok" } else { "SIGNATURE WRONG" };
    say!("{receiver:<12} {event:<30} attempt {attempt}  {signature}  answered {answered}  delivery {delivery}")
}

/// Makes a receiver's webhook; answers its id and how many history entries it will have.
async fn create_webhook(rest: &Rest, part: &Part) -> anyhow::Result<(i64, usize)> {
    let Receiver { name, address, .. } = &part.receiver;
    let names: Vec<&str> = part.events.iter().map(|kind| kind.name()).collect();
    let body = json!({
        "name": format!("demo: {name}"), "url": format!("http://{address}/{name}"), "type": "generic",
        "events": names, "projects": null, "allow_insecure": true,
    });
    let (status, answer) = rest.send(Method::POST, "/api/v1/webhooks", Some(&body)).await?;
    if status != 201 {
        bail!("webhook {name} was not made: {status} {answer}");
    }
    let webhook = &answer["result"];
    let secret = webhook["secret"].as_str().unwrap_or_default().parse().context("the answer holds no secret")?;
    *part.receiver.secret.lock().unwrap_or_else(PoisonError::into_inner) = Some(secret);
    let id = webhook["id"].as_i64().context("the answer holds no id")?;
    say!("webhook {id} → {name:<12} http://{address}/{name}  ({} event types)", names.len())?;
    Ok((id, part.events.len() * part.answers().len()))
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

impl Outcome {
    fn note(&mut self, arrival: &Arrival) -> anyhow::Result<()> {
        self.arrived += 1;
        self.unverified += usize::from(!arrival.verified);
        show(arrival)
    }

    /// Waits until a webhook's history holds every attempt, and counts their statuses.
    async fn check_history(&mut self, rest: &Rest, id: i64, expected: usize, deadline: Instant) -> anyhow::Result<()> {
        let path = format!("/api/v1/webhooks/{id}/deliveries?per_page=100");
        loop {
            let (_, answer) = rest.send(Method::GET, &path, None).await?;
            let entries = answer["result"].as_array().map_or(&[][..], Vec::as_slice);
            let status = |entry: &Value| entry["status"].as_str().unwrap_or("unknown").to_owned();
            let settled = entries.iter().filter(|entry| status(entry) != "pending").count();
            let late = Instant::now() >= deadline;
            if (settled == expected && entries.len() == expected) || late {
                for entry in entries {
                    *self.history.entry(status(entry)).or_default() += 1;
                }
                if late {
                    self.surprises.push(format!("history of webhook {id} has {settled} of {expected} attempts"));
                }
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
