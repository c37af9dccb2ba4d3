//! Opening events with history: one call for a batch claims their ids and writes their deliveries as pending. Without
//! history it goes on by itself, with a window of ids in memory: late news is worse than a rare repeat.

use std::collections::{HashMap, VecDeque};

use proto::internal::v1::{OpenDelivery, OpenEvent, OpenOutcome, OpenResult};

use crate::history::History;

/// Ids remembered for the time without history.
const WINDOW: usize = 100_000;

/// What is to be done with an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Opened {
    pub(crate) outcome: OpenOutcome,
    /// For `Redelivered`: the deliveries whose first attempt is still to be made.
    pub(crate) unsent: Vec<OpenDelivery>,
    /// Whether history has not been asked.
    pub(crate) unrecorded: bool,
}

impl Opened {
    /// Whether history is still to be told of it.
    pub(crate) fn is_untold(&self) -> bool {
        self.unrecorded && self.outcome == OpenOutcome::New
    }
}

/// Opens events.
pub(crate) struct Opening {
    history: History,
    window: Window,
}

impl Opening {
    pub(crate) fn new(history: History) -> Self {
        Self { history, window: Window::default() }
    }

    /// What is to be done with each event, in their order.
    pub(crate) async fn open(&mut self, events: Vec<OpenEvent>) -> Vec<Opened> {
        // What went out under another publish while history was away must not be claimed by this one now.
        let (repeats, asked): (Vec<_>, Vec<_>) =
            events.into_iter().enumerate().partition(|(_, event)| self.window.went_out_unrecorded(event));
        let (places, asked): (Vec<usize>, Vec<OpenEvent>) = asked.into_iter().unzip();
        let answers = if asked.is_empty() { Some(Vec::new()) } else { self.history.open(&asked).await };
        let opened: Vec<Opened> = match answers {
            Some(results) => {
                asked.iter().zip(results).map(|(event, result)| self.with_history(event, result)).collect()
            }
            None => asked.iter().map(|event| self.without_history(event)).collect(),
        };
        let duplicates = repeats.into_iter().map(|(place, _)| (place, DUPLICATE));
        let mut all: Vec<(usize, Opened)> = places.into_iter().zip(opened).chain(duplicates).collect();
        all.sort_unstable_by_key(|(place, _)| *place);
        all.into_iter().map(|(_, opened)| opened).collect()
    }

    fn with_history(&mut self, event: &OpenEvent, result: OpenResult) -> Opened {
        let outcome = result.outcome();
        if event.claim && outcome != OpenOutcome::Duplicate {
            self.window.remember(event, true);
        }
        Opened { outcome, unsent: result.unsent, unrecorded: false }
    }

    fn without_history(&mut self, event: &OpenEvent) -> Opened {
        if !event.claim || self.window.remember(event, false) {
            return Opened { outcome: OpenOutcome::New, unsent: Vec::new(), unrecorded: true };
        }
        DUPLICATE
    }
}

const DUPLICATE: Opened = Opened { outcome: OpenOutcome::Duplicate, unsent: Vec::new(), unrecorded: true };

/// The ids last dispatched, oldest first.
#[derive(Default)]
struct Window {
    order: VecDeque<Claim>,
    publishes: HashMap<Claim, Dispatched>,
}

/// An event's instance and id.
type Claim = (String, bytes::Bytes);

struct Dispatched {
    publish_id: bytes::Bytes,
    /// Whether history has the claim.
    recorded: bool,
}

impl Window {
    /// Whether the event's id was given to another publish that history knows nothing of.
    fn went_out_unrecorded(&self, event: &OpenEvent) -> bool {
        let known = self.publishes.get(&claim(event));
        event.claim && known.is_some_and(|known| !known.recorded && known.publish_id != event.publish_id)
    }

    /// Gives the id to this publish, unless another has it: then `false`.
    fn remember(&mut self, event: &OpenEvent, recorded: bool) -> bool {
        let key = claim(event);
        if let Some(known) = self.publishes.get_mut(&key) {
            let own = known.publish_id == event.publish_id;
            known.recorded |= own && recorded;
            return own;
        }
        if self.order.len() >= WINDOW
            && let Some(oldest) = self.order.pop_front()
        {
            self.publishes.remove(&oldest);
        }
        self.order.push_back(key.clone());
        self.publishes.insert(key, Dispatched { publish_id: event.publish_id.clone(), recorded });
        true
    }
}

fn claim(event: &OpenEvent) -> Claim {
    (event.instance.clone(), event.event_id.clone())
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    };

    use proto::{
        channel::LocalServices,
        internal::v1::{
            CheckRequest, CheckResponse, OpenRequest, OpenResponse, QueueTestRequest, QueueTestResponse, RecordRequest,
            RecordResponse,
            recording_server::{Recording, RecordingServer},
        },
    };
    use runtime::Tasks;
    use tonic::{Request, Response, Status, service::Routes};

    use super::*;

    /// A history that remembers claims, and can be away.
    #[derive(Clone, Default)]
    struct Fake {
        away: Arc<AtomicBool>,
        claims: Arc<Mutex<HashMap<bytes::Bytes, bytes::Bytes>>>,
    }

    impl Fake {
        fn present(&self) -> Result<(), Status> {
            if self.away.load(Ordering::SeqCst) { Err(Status::unavailable("away")) } else { Ok(()) }
        }
    }

    #[tonic::async_trait]
    impl Recording for Fake {
        async fn open(&self, request: Request<OpenRequest>) -> Result<Response<OpenResponse>, Status> {
            self.present()?;
            let mut claims = self.claims.lock().unwrap();
            let mut result = |event: OpenEvent| {
                let owner = claims.entry(event.event_id).or_insert_with(|| event.publish_id.clone());
                let outcome = if *owner == event.publish_id { OpenOutcome::New } else { OpenOutcome::Duplicate };
                OpenResult { outcome: outcome.into(), unsent: Vec::new() }
            };
            let results = request.into_inner().events.into_iter().map(&mut result).collect();
            Ok(Response::new(OpenResponse { results }))
        }

        async fn record(&self, _: Request<RecordRequest>) -> Result<Response<RecordResponse>, Status> {
            Ok(Response::new(RecordResponse::default()))
        }

        async fn check(&self, request: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
            self.present()?;
            let send = request.into_inner().items.iter().map(|_| true).collect();
            Ok(Response::new(CheckResponse { send, previous_recorded: Vec::new() }))
        }

        async fn queue_test(&self, _: Request<QueueTestRequest>) -> Result<Response<QueueTestResponse>, Status> {
            Err(Status::unimplemented("the dispatcher queues no tests"))
        }
    }

    fn opening() -> (Opening, Fake) {
        let fake = Fake::default();
        let services = LocalServices::default();
        services.set(Routes::new(RecordingServer::new(fake.clone())));
        (Opening::new(History::new(services.channel(), Tasks::new())), fake)
    }

    async fn outcomes(opening: &mut Opening, events: &[(&'static str, &'static str)]) -> Vec<OpenOutcome> {
        let event = |(id, publish): &(&'static str, &'static str)| OpenEvent {
            event_id: (*id).into(),
            publish_id: (*publish).into(),
            claim: true,
            ..Default::default()
        };
        opening.open(events.iter().map(event).collect()).await.into_iter().map(|opened| opened.outcome).collect()
    }

    /// Until the probe has seen that history is back.
    async fn until_reached(opening: &Opening) {
        let reached = async {
            while opening.history.check(&[]).await.is_none() {
                tokio::task::yield_now().await
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(10), reached).await.unwrap();
    }

    use OpenOutcome::{Duplicate, New};

    #[tokio::test]
    async fn an_id_that_went_out_without_history_goes_out_once() {
        let (mut opening, fake) = opening();
        fake.away.store(true, Ordering::SeqCst);
        assert_eq!(outcomes(&mut opening, &[("a", "1"), ("a", "2")]).await, [New, Duplicate]);
        assert_eq!(outcomes(&mut opening, &[("a", "1"), ("a", "3")]).await, [New, Duplicate], "redelivered, repeated");
        fake.away.store(false, Ordering::SeqCst);
        until_reached(&opening).await;
        assert_eq!(outcomes(&mut opening, &[("b", "1"), ("a", "4"), ("c", "1")]).await, [New, Duplicate, New]);
        assert_eq!(fake.claims.lock().unwrap().len(), 2, "the repeat has claimed nothing");
    }

    #[tokio::test]
    async fn a_duplicate_does_not_take_the_id_from_its_owner() {
        let (mut opening, fake) = opening();
        fake.claims.lock().unwrap().insert("a".into(), "1".into());
        assert_eq!(outcomes(&mut opening, &[("a", "2")]).await, [Duplicate]);
        fake.away.store(true, Ordering::SeqCst);
        assert_eq!(outcomes(&mut opening, &[("a", "1")]).await, [New], "the owner's own message");
    }

    #[test]
    fn the_window_is_bounded() {
        let mut window = Window::default();
        for index in 0..=WINDOW {
            window.remember(&OpenEvent { event_id: index.to_string().into(), ..Default::default() }, true);
        }
        assert_eq!((window.order.len(), window.publishes.len()), (WINDOW, WINDOW));
    }
}
