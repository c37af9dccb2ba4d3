//! Opening events with history: one call for a batch claims their ids and writes their deliveries as pending. Without
//! history for over a second it goes on by itself: late news is worse than a rare repeat.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use proto::{
    channel::GrpcChannel,
    internal::v1::{OpenEvent, OpenOutcome, OpenRequest, OpenResult, recording_client::RecordingClient},
};
use tokio::time::Instant;

/// How long history may be unreachable before a batch goes on without it.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a call that history has taken may last.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// Claims remembered for the time without history.
const WINDOW: usize = 100_000;

/// What is to be done with an event.
pub(crate) struct Opened {
    pub(crate) outcome: OpenOutcome,
    /// For `Redelivered`: the webhooks whose first attempt is still to be made.
    pub(crate) unsent: Vec<i64>,
    /// Whether history may know nothing of it, so that records must carry everything.
    pub(crate) unrecorded: bool,
}

/// Opens events.
pub(crate) struct Opening {
    history: RecordingClient<GrpcChannel>,
    reachable: bool,
    window: Window,
}

impl Opening {
    pub(crate) fn new(history: RecordingClient<GrpcChannel>) -> Self {
        Self { history, reachable: true, window: Window::default() }
    }

    /// What is to be done with each event, in their order.
    pub(crate) async fn open(&mut self, events: Vec<OpenEvent>) -> Vec<Opened> {
        if events.is_empty() {
            return Vec::new();
        }
        match self.ask(&events).await {
            Some(results) if results.len() == events.len() => {
                // Remembered also now: the same id may come again while history is away.
                for event in events.iter().filter(|event| event.claim) {
                    self.window.claim(event);
                }
                results.into_iter().map(opened).collect()
            }
            _ => events.iter().map(|event| self.without_history(event)).collect(),
        }
    }

    async fn ask(&mut self, events: &[OpenEvent]) -> Option<Vec<OpenResult>> {
        let deadline = Instant::now() + if self.reachable { PATIENCE } else { Duration::from_millis(50) };
        loop {
            let request = OpenRequest { events: events.to_vec() };
            let error = match tokio::time::timeout(CALL_TIMEOUT, self.history.open(request)).await {
                Ok(Ok(answer)) => {
                    if !self.reachable {
                        tracing::info!("history reached again");
                    }
                    self.reachable = true;
                    return Some(answer.into_inner().results);
                }
                Ok(Err(status)) => status.to_string(),
                Err(_) => format!("no answer within {} s", CALL_TIMEOUT.as_secs()),
            };
            if Instant::now() >= deadline {
                if self.reachable {
                    tracing::warn!(error, "history cannot be reached; deliveries go on and are recorded later");
                }
                self.reachable = false;
                return None;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn without_history(&mut self, event: &OpenEvent) -> Opened {
        let first = !event.claim || self.window.claim(event);
        let outcome = if first { OpenOutcome::New } else { OpenOutcome::Duplicate };
        Opened { outcome, unsent: Vec::new(), unrecorded: true }
    }
}

fn opened(result: OpenResult) -> Opened {
    Opened { outcome: result.outcome(), unsent: result.unsent_webhook_ids, unrecorded: false }
}

/// The claims last seen, oldest first.
#[derive(Default)]
struct Window {
    order: VecDeque<Claim>,
    publishes: HashMap<Claim, bytes::Bytes>,
}

type Claim = (String, bytes::Bytes);

impl Window {
    /// Whether the event's id belongs to this publish.
    fn claim(&mut self, event: &OpenEvent) -> bool {
        let key = (event.instance.clone(), event.event_id.clone());
        if let Some(publish) = self.publishes.get(&key) {
            return *publish == event.publish_id;
        }
        if self.order.len() >= WINDOW
            && let Some(oldest) = self.order.pop_front()
        {
            self.publishes.remove(&oldest);
        }
        self.order.push_back(key.clone());
        self.publishes.insert(key, event.publish_id.clone());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_knows_the_first_publish() {
        let mut window = Window::default();
        let event = |publish: &'static str| OpenEvent {
            event_id: "e".into(),
            publish_id: publish.into(),
            ..Default::default()
        };
        assert!(window.claim(&event("one")));
        assert!(window.claim(&event("one")), "redelivered");
        assert!(!window.claim(&event("two")), "published again");
        for index in 0..WINDOW {
            window.claim(&OpenEvent { event_id: index.to_string().into(), ..Default::default() });
        }
        assert!(window.order.len() <= WINDOW && window.publishes.len() == window.order.len());
    }
}
