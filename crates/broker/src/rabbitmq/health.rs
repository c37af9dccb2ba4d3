//! How consumers do, for the readiness check: also those that should be there and are not.

use tokio::sync::watch;

/// How a consumer of a lane does. One that is gone without [`Health::Over`] should have gone on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Health {
    Well,
    /// Why it is not subscribed at the moment.
    Unwell(String),
    /// Nobody needs it any more.
    Over,
}

/// What the readiness check has of a consumer.
pub(super) struct Watched {
    pub(super) queue: String,
    pub(super) health: watch::Receiver<Health>,
}

impl Watched {
    pub(super) fn is_over(&self) -> bool {
        *self.health.borrow() == Health::Over
    }

    pub(super) fn problem(&self) -> Option<String> {
        match &*self.health.borrow() {
            Health::Over => None,
            _ if self.health.has_changed().is_err() => {
                Some(format!("consumer of {} has ended; restart this process", self.queue))
            }
            Health::Unwell(reason) => Some(format!("not subscribed to {}: {reason}", self.queue)),
            Health::Well => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use tokio::sync::mpsc;
    use tokio_util::sync::CancellationToken;

    use super::{
        super::{consumer::LaneConsumer, publisher::Publisher, supervisor::LinkState, topology::Topology},
        *,
    };
    use crate::{Lane, delays::Delays};

    fn watched(health: Health) -> (watch::Sender<Health>, Watched) {
        let (sender, health) = watch::channel(health);
        (sender, Watched { queue: "wh.history".to_owned(), health })
    }

    #[test]
    fn one_that_is_not_subscribed_says_why() {
        let (_consumer, watched) = watched(Health::Unwell("no leader".to_owned()));
        assert_eq!(watched.problem().as_deref(), Some("not subscribed to wh.history: no leader"));
    }

    /// Runs a consumer whose connection nobody looks after any more.
    async fn run(closing: CancellationToken) -> Watched {
        let link = watch::channel(LinkState::Down("lost".to_owned())).1;
        let (health, watched) = watch::channel(Health::Well);
        let topology = Arc::new(Topology::new("wh", &Delays::new(Vec::new()), 1));
        let queue = topology.queue(Lane::History);
        let publisher = Arc::new(Publisher::new(link.clone(), Duration::from_secs(5)));
        let lane = Lane::History;
        let consumer = LaneConsumer { lane, prefetch: 1, topology, link, publisher, closing, health, now: None };
        let (sender, mut receiver) = mpsc::channel(1);
        consumer.run(sender).await;
        assert!(receiver.recv().await.is_none());
        Watched { queue, health: watched }
    }

    #[tokio::test]
    async fn one_that_ends_is_reported_unless_the_broker_is_closing() {
        let watched = run(CancellationToken::new()).await;
        assert!(watched.problem().is_some_and(|problem| problem.contains("wh.history has ended")));
        let closing = CancellationToken::new();
        closing.cancel();
        assert!(run(closing).await.is_over());
    }

    #[test]
    fn one_that_has_ended_goes_unnoticed_only_if_nobody_needs_it() {
        let (consumer, watched) = watched(Health::Well);
        assert_eq!((watched.problem(), watched.is_over()), (None, false));
        drop(consumer);
        assert!(watched.problem().is_some_and(|problem| problem.contains("wh.history has ended")));
        assert!(!watched.is_over());
        let (consumer, watched) = self::watched(Health::Well);
        consumer.send_replace(Health::Over);
        drop(consumer);
        assert_eq!((watched.problem(), watched.is_over()), (None, true));
    }
}
