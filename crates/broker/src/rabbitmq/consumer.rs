//! Consuming a lane, over any number of connections: one [`Session`] after the other.

use std::{sync::Arc, time::Duration};

use lapin::{
    Channel,
    options::{BasicConsumeOptions, BasicQosOptions},
    types::FieldTable,
};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Now,
    health::Health,
    link::Link,
    publisher::Publisher,
    session::{End, Session},
    supervisor::{Backoff, LinkState},
    topology::Topology,
};
use crate::{Incoming, Lane};

/// A session that lasted this long was a good one: the next failure starts with short pauses again.
const GOOD_SESSION: Duration = Duration::from_secs(10);
const OPEN_TIMEOUT: Duration = Duration::from_secs(15);

/// One call of `consume`.
pub(super) struct LaneConsumer {
    pub(super) lane: Lane,
    pub(super) prefetch: u16,
    pub(super) topology: Arc<Topology>,
    pub(super) link: watch::Receiver<LinkState>,
    pub(super) publisher: Arc<Publisher>,
    pub(super) closing: CancellationToken,
    pub(super) health: watch::Sender<Health>,
    pub(super) now: Option<Now>,
}

impl LaneConsumer {
    /// Consumes until closed or until the receiver is dropped.
    pub(super) async fn run(self, sender: mpsc::Sender<Incoming>) {
        self.consume(&sender).await;
        if self.closing.is_cancelled() || sender.is_closed() {
            self.health.send_replace(Health::Over);
        } else {
            tracing::error!(queue = self.topology.queue(self.lane), "consumer has ended; restart this process");
        }
    }

    async fn consume(&self, sender: &mpsc::Sender<Incoming>) {
        let mut backoff = Backoff::new();
        let mut again = false;
        loop {
            let link = tokio::select! {
                () = self.closing.cancelled() => return,
                () = sender.closed() => return,
                link = self.connected() => link,
            };
            let Some(link) = link else { return };
            let started = Instant::now();
            let reason = match self.session(&link, sender, again).await {
                End::Finished => return,
                End::Lost(reason) => reason,
            };
            again = true;
            tracing::warn!(queue = self.topology.queue(self.lane), reason, "subscription is lost; subscribing again");
            self.health.send_replace(Health::Unwell(reason));
            if started.elapsed() > GOOD_SESSION {
                backoff = Backoff::new();
            }
            tokio::select! {
                () = self.closing.cancelled() => return,
                () = backoff.pause() => {}
            }
        }
    }

    async fn connected(&self) -> Option<Arc<Link>> {
        let mut links = self.link.clone();
        let state = links.wait_for(|state| matches!(state, LinkState::Up(_))).await.ok()?;
        match &*state {
            LinkState::Up(link) => Some(Arc::clone(link)),
            LinkState::Down(_) => None,
        }
    }

    async fn session(&self, link: &Link, sender: &mpsc::Sender<Incoming>, declare: bool) -> End {
        let opened = tokio::select! {
            () = self.closing.cancelled() => return End::Finished,
            opened = timeout(OPEN_TIMEOUT, self.open(link, declare)) => opened,
        };
        match opened {
            Ok(Ok((channel, stream))) => {
                self.health.send_replace(Health::Well);
                Session::new(self, link, channel, sender).run(stream).await
            }
            Ok(Err(reason)) => End::Lost(reason),
            Err(_) => End::Lost(late()),
        }
    }

    async fn open(&self, link: &Link, declare: bool) -> Result<(Channel, lapin::Consumer), String> {
        if declare {
            self.declare(link).await?;
        }
        let open = async {
            let channel = link.connection.create_channel().await?;
            channel.basic_qos(self.prefetch, BasicQosOptions::default()).await?;
            let stream = self.subscribe(&channel).await?;
            Ok((channel, stream))
        };
        open.await.map_err(|error: lapin::Error| error.to_string())
    }

    /// The queue may have been deleted under the subscription.
    async fn declare(&self, link: &Link) -> Result<(), String> {
        self.topology.declare(&link.connection).await.map_err(|error| error.to_string())
    }

    /// Under a name that RabbitMQ makes up, so that no two subscriptions of a channel have the same.
    async fn subscribe(&self, channel: &Channel) -> Result<lapin::Consumer, lapin::Error> {
        let queue = self.topology.queue(self.lane);
        let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
        channel.basic_consume(queue.as_str().into(), "".into(), options, arguments).await
    }

    /// Subscribes over a channel whose subscription the broker has cancelled.
    pub(super) async fn resubscribe(&self, link: &Link, channel: &Channel) -> Result<lapin::Consumer, String> {
        let subscribe = async {
            self.declare(link).await?;
            self.subscribe(channel).await.map_err(|error| error.to_string())
        };
        let stream = timeout(OPEN_TIMEOUT, subscribe).await.map_err(|_| late())??;
        self.health.send_replace(Health::Well);
        Ok(stream)
    }
}

fn late() -> String {
    format!("no answer within {} s", OPEN_TIMEOUT.as_secs())
}
