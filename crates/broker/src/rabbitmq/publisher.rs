//! Publishing with many confirms outstanding.
//!
//! Each channel has a task that sends whatever comes and collects the confirms; nothing waits for a confirm before the
//! next message goes out. One task for each channel also because lapin numbers a message and queues its frames in two
//! steps, and because it hands a returned message to whichever confirm comes next: only who sees all confirms of a
//! channel can tell whose it was.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection,
    options::{BasicPublishOptions, ConfirmSelectOptions},
    types::{AMQPValue, FieldTable, ShortString},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
    time::{Instant, timeout_at},
};

use super::{
    link::{Broken, Link},
    supervisor::LinkState,
    topology::Route,
};
use crate::{PublishError, tasks};

/// Each channel is a process in RabbitMQ, so a few of them use more than one core there.
const CHANNELS: usize = 4;
/// Messages of one call that go over the same channel.
const CHUNK: usize = 64;
/// Bound of what is sent and not confirmed, in KiB; a message counts at least one.
const OUTSTANDING_KIB: u32 = 64 * 1024;
/// A connection that is just coming back is waited for this long; in an outage publishers are told at once after.
const LINK_GRACE: Duration = Duration::from_secs(1);

/// A message with everything that RabbitMQ needs.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    route: Route,
    body: Bytes,
    /// Every message has one: it tells which one it was that the broker returned.
    id: ShortString,
    properties: BasicProperties,
}

impl Prepared {
    pub(super) fn new(
        route: Route,
        body: Bytes,
        id: ShortString,
        headers: impl IntoIterator<Item = (&'static str, String)>,
    ) -> Self {
        let mut table = FieldTable::default();
        for (name, value) in headers {
            table.insert(name.into(), AMQPValue::LongString(value.into()));
        }
        let properties = BasicProperties::default()
            .with_content_type("application/x-protobuf".into())
            // Persistent.
            .with_delivery_mode(2)
            .with_headers(table)
            .with_message_id(id.clone());
        Self { route, body, id, properties }
    }

    fn kib(&self) -> u32 {
        u32::try_from(self.body.len() / 1024 + 1).unwrap_or(u32::MAX)
    }
}

type Answers = mpsc::UnboundedSender<(usize, Result<(), PublishError>)>;

/// Some messages of one call, for one channel. The permit bounds how many there are, so the queue needs no bound.
struct Job {
    messages: Vec<(usize, Prepared)>,
    answers: Answers,
    permit: Arc<OwnedSemaphorePermit>,
}

/// The way to the tasks of a connection's channels.
#[derive(Default)]
pub(super) struct Jobs {
    channels: Vec<mpsc::UnboundedSender<Job>>,
    turn: AtomicUsize,
}

impl Jobs {
    fn send(&self, job: Job) {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        if let Some(channel) = self.channels.get(turn % self.channels.len().max(1)) {
            // An error: the task has ended with its connection; dropping the job tells the caller.
            let _ = channel.send(job);
        }
    }
}

/// Publishes through whichever connection is up.
pub(super) struct Publisher {
    link: watch::Receiver<LinkState>,
    outstanding: Arc<Semaphore>,
    confirm_timeout: Duration,
}

impl Publisher {
    pub(super) fn new(link: watch::Receiver<LinkState>, confirm_timeout: Duration) -> Self {
        Self { link, outstanding: Arc::new(Semaphore::new(OUTSTANDING_KIB as usize)), confirm_timeout }
    }

    /// Publishes all messages; answers in their order.
    pub(super) async fn publish(&self, messages: Vec<Prepared>) -> Vec<Result<(), PublishError>> {
        let deadline = Instant::now() + self.confirm_timeout;
        let mut results = vec![None; messages.len()];
        let link = match self.link(deadline).await {
            Ok(link) => link,
            Err(reason) => return vec![Err(PublishError::Unavailable { reason }); results.len()],
        };
        let (answers, mut answered) = mpsc::unbounded_channel();
        self.send(&link, messages, answers, deadline).await;
        let ended = loop {
            match timeout_at(deadline, answered.recv()).await {
                Ok(Some((index, result))) => {
                    if let Some(slot) = results.get_mut(index) {
                        *slot = Some(result);
                    }
                }
                Ok(None) => break PublishError::Unavailable { reason: link.broken.reason() },
                Err(_) => break self.late(&link),
            }
        };
        results.into_iter().map(|result| result.unwrap_or_else(|| Err(ended.clone()))).collect()
    }

    /// Sends everything in chunks; what finds no room in time is dropped, and so is answered as late.
    async fn send(&self, link: &Link, messages: Vec<Prepared>, answers: Answers, deadline: Instant) {
        let mut messages = messages.into_iter().enumerate().peekable();
        while messages.peek().is_some() {
            let chunk: Vec<_> = messages.by_ref().take(CHUNK).collect();
            let kib = chunk.iter().map(|(_, message)| message.kib()).fold(0, u32::saturating_add).min(OUTSTANDING_KIB);
            let room = Arc::clone(&self.outstanding).acquire_many_owned(kib);
            let Ok(Ok(permit)) = timeout_at(deadline, room).await else {
                // Keeps the answers open until the deadline, so that the rest counts as late and not as lost.
                tokio::time::sleep_until(deadline).await;
                return;
            };
            link.jobs.send(Job { messages: chunk, answers: answers.clone(), permit: Arc::new(permit) });
        }
    }

    async fn link(&self, deadline: Instant) -> Result<Arc<Link>, String> {
        let until = deadline.min(Instant::now() + LINK_GRACE);
        let mut states = self.link.clone();
        loop {
            let state = states.borrow_and_update().clone();
            let Some(problem) = state.problem() else {
                if let LinkState::Up(link) = state {
                    return Ok(link);
                }
                continue;
            };
            let changed = match &state {
                LinkState::Up(link) => {
                    let mut blocked = link.blocked.subscribe();
                    timeout_at(until, async {
                        tokio::select! {
                            _ = blocked.wait_for(Option::is_none) => {}
                            _ = states.changed() => {}
                        }
                    })
                    .await
                    .is_ok()
                }
                LinkState::Down(_) => matches!(timeout_at(until, states.changed()).await, Ok(Ok(()))),
            };
            if !changed {
                return Err(problem);
            }
        }
    }

    fn late(&self, link: &Link) -> PublishError {
        match link.blocked.borrow().as_ref() {
            Some(reason) => {
                PublishError::Unavailable { reason: format!("broker takes no messages at the moment: {reason}") }
            }
            None => PublishError::Timeout { seconds: self.confirm_timeout.as_secs() },
        }
    }
}

/// Opens the channels of a new connection and starts their tasks, which end with the connection.
pub(super) async fn open_channels(connection: &Connection, broken: &Broken) -> Result<Jobs, lapin::Error> {
    let mut channels = Vec::with_capacity(CHANNELS);
    for _ in 0..CHANNELS {
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let (sender, jobs) = mpsc::unbounded_channel();
        drop(tasks::spawn(ChannelTask { channel, broken: broken.clone(), returned: HashMap::new() }.run(jobs)));
        channels.push(sender);
    }
    Ok(Jobs { channels, turn: AtomicUsize::new(0) })
}

/// A message whose confirm has come, or never will.
struct Done {
    index: usize,
    answers: Answers,
    route: Route,
    id: ShortString,
    result: Result<Confirmation, lapin::Error>,
    /// Held until here.
    _permit: Arc<OwnedSemaphorePermit>,
}

struct ChannelTask {
    channel: Channel,
    broken: Broken,
    /// Ids of messages that were returned as unroutable and whose confirm has not come yet, and how many have each:
    /// ids that others gave may be the same.
    returned: HashMap<ShortString, usize>,
}

impl ChannelTask {
    async fn run(mut self, mut jobs: mpsc::UnboundedReceiver<Job>) {
        let mut confirms = FuturesUnordered::new();
        loop {
            tokio::select! {
                biased;
                _ = self.broken.wait() => return,
                Some(done) = confirms.next(), if !confirms.is_empty() => {
                    // All that have come, so that a returned message is seen before its own confirm is answered: the
                    // confirm that carries it is never later than its own.
                    let mut all = vec![done];
                    while let Some(Some(done)) = confirms.next().now_or_never() {
                        all.push(done);
                    }
                    self.answer(all);
                }
                job = jobs.recv() => match job {
                    Some(job) => self.start(job, &confirms),
                    None => return,
                },
            }
        }
    }

    fn start(&self, job: Job, confirms: &FuturesUnordered<BoxFuture<'static, Done>>) {
        for (index, message) in job.messages {
            let channel = self.channel.clone();
            let answers = job.answers.clone();
            let permit = Arc::clone(&job.permit);
            confirms.push(
                async move {
                    let Prepared { route, body, id, properties } = message;
                    let result = publish(&channel, &route, &body, properties).await;
                    Done { index, answers, route, id, result, _permit: permit }
                }
                .boxed(),
            );
        }
    }

    fn answer(&mut self, all: Vec<Done>) {
        let mut all = all;
        for done in &mut all {
            if let Ok(Confirmation::Ack(returned) | Confirmation::Nack(returned)) = &mut done.result
                && let Some(message) = returned.take()
                && let Some(id) = message.delivery.properties.message_id()
            {
                *self.returned.entry(id.clone()).or_default() += 1;
            }
        }
        for done in all {
            let unroutable = self.was_returned(&done.id);
            let result = match &done.result {
                _ if unroutable => {
                    let reason =
                        format!("no queue is bound to exchange {} for key {}", done.route.exchange, done.route.key);
                    // Connecting again declares everything, and so brings the queue back.
                    self.broken.set(reason.clone());
                    Err(PublishError::Unavailable { reason })
                }
                Ok(Confirmation::Ack(_)) => Ok(()),
                Ok(_) => Err(PublishError::Full { queue: done.route.queue }),
                Err(error) => {
                    self.broken.set(error.to_string());
                    Err(PublishError::Unavailable { reason: error.to_string() })
                }
            };
            // Nobody there: the caller has given up waiting.
            let _ = done.answers.send((done.index, result));
        }
    }

    fn was_returned(&mut self, id: &ShortString) -> bool {
        let Some(times) = self.returned.get_mut(id) else { return false };
        *times -= 1;
        if *times == 0 {
            self.returned.remove(id);
        }
        true
    }
}

async fn publish(
    channel: &Channel,
    route: &Route,
    body: &[u8],
    properties: BasicProperties,
) -> Result<Confirmation, lapin::Error> {
    let options = BasicPublishOptions { mandatory: true, ..Default::default() };
    channel.basic_publish(route.exchange.clone(), route.key.clone(), options, body, properties).await?.await
}
