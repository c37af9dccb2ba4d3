//! The task that owns the writing connection.
//!
//! While one transaction is being committed, whatever arrives is collected for the next one. So a commit (one `fsync`)
//! carries what came during the commit before it, and nobody waits for a timer.

use std::sync::Arc;

use sqlx::{Connection as _, SqliteConnection};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::{
    counts,
    manual::{self, Test},
    open, record,
    release::{self, Lease},
    replays::{self, Start},
    retention,
};
use crate::{
    model::{NoRetry, OpenEvent, Opened, Record, Retry},
    replay::{Step, StoredReplay},
    store::{Address, Released, Settings, StoreError, TakeHeld, TakeTests, removing::Due},
};

/// Jobs that may wait for the writer; whoever comes then waits outside.
const QUEUE: usize = 256;
/// Rows of a transaction, roughly: nobody is to wait long for the one before.
const ROWS: usize = 2000;

type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

/// Something to be written, and who waits for it.
pub(super) enum Job {
    Open { events: Vec<OpenEvent>, now: i64, answer: Answer<Vec<Opened>> },
    Record { records: Arc<[Record]>, answer: Answer<()> },
    TakeHeld { webhooks: Vec<i64>, take: TakeHeld, answer: Answer<Vec<Released>> },
    TakeTests { take: TakeTests, answer: Answer<Vec<Released>> },
    QueueTest { test: Test, answer: Answer<Option<Released>> },
    Retry { retry: Retry, answer: Answer<Result<Released, NoRetry>> },
    StartReplay { start: Start, answer: Answer<Option<StoredReplay>> },
    CancelReplay { id: Uuid, reason: String, answer: Answer<bool> },
    AdvanceReplay { step: Step, answer: Answer<bool> },
    Settle { leases: Vec<Lease>, queued: bool, answer: Answer<()> },
    ClockWasSetBack { now: i64, tolerance: i64, answer: Answer<u64> },
    HoldOverdue { before: i64, now: i64, limit: i64, answer: Answer<u64> },
    ForgetClaims { before: i64, limit: i64, answer: Answer<u64> },
    ForgetCounts { before: i64, limit: i64, answer: Answer<u64> },
    SetRetention { instance: String, days: i32, now: i64, answer: Answer<Settings> },
    Clear { instance: String, now: i64, answer: Answer<()> },
    Remove { due: Due, answer: Answer<bool> },
    GiveBack { answer: Answer<bool> },
}

/// What a job came to, to be told once it is committed.
enum Done {
    Opened(Vec<Opened>),
    Nothing,
    Taken(Vec<Released>),
    QueuedTest(Option<Released>),
    Retried(Result<Released, NoRetry>),
    StartedReplay(Option<StoredReplay>),
    Flag(bool),
    Count(u64),
    Settings(Settings),
}

impl Job {
    fn rows(&self) -> usize {
        match self {
            Self::Open { events, .. } => events.iter().map(|event| 1 + event.deliveries.len()).sum(),
            Self::Record { records, .. } => records.len(),
            Self::QueueTest { .. } | Self::Retry { .. } | Self::StartReplay { .. } | Self::CancelReplay { .. } => 1,
            Self::SetRetention { .. } | Self::Clear { .. } => 1,
            Self::TakeHeld { .. }
            | Self::TakeTests { .. }
            | Self::AdvanceReplay { .. }
            | Self::ClockWasSetBack { .. }
            | Self::HoldOverdue { .. }
            | Self::ForgetClaims { .. }
            | Self::ForgetCounts { .. }
            | Self::Remove { .. }
            | Self::GiveBack { .. } => ROWS,
            Self::Settle { leases, .. } => leases.len(),
        }
    }

    async fn run(&self, connection: &mut SqliteConnection) -> Result<Done, sqlx::Error> {
        match self {
            Self::Open { events, now, .. } => open::open(connection, events, *now).await.map(Done::Opened),
            Self::Record { records, .. } => record::record(connection, records).await.map(|()| Done::Nothing),
            Self::TakeHeld { webhooks, take, .. } => {
                release::take_held(connection, webhooks, *take).await.map(Done::Taken)
            }
            Self::TakeTests { take, .. } => release::take_tests(connection, *take).await.map(Done::Taken),
            Self::QueueTest { test, .. } => manual::queue_test(connection, test).await.map(Done::QueuedTest),
            Self::Retry { retry, .. } => manual::retry(connection, retry).await.map(Done::Retried),
            Self::StartReplay { start, .. } => replays::start(connection, start).await.map(Done::StartedReplay),
            Self::CancelReplay { id, reason, .. } => replays::cancel(connection, *id, reason).await.map(Done::Flag),
            Self::AdvanceReplay { step, .. } => replays::advance(connection, step).await.map(Done::Flag),
            Self::Settle { leases, queued, .. } => {
                release::settle(connection, leases, *queued).await.map(|()| Done::Nothing)
            }
            Self::ClockWasSetBack { now, tolerance, .. } => {
                release::clock_was_set_back(connection, *now, *tolerance).await.map(Done::Count)
            }
            Self::HoldOverdue { before, now, limit, .. } => {
                release::hold_overdue(connection, *before, *now, *limit).await.map(Done::Count)
            }
            Self::ForgetClaims { before, limit, .. } => {
                release::forget_claims(connection, *before, *limit).await.map(Done::Count)
            }
            Self::ForgetCounts { before, limit, .. } => {
                counts::forget(connection, *before, *limit).await.map(Done::Count)
            }
            Self::SetRetention { instance, days, now, .. } => {
                retention::set_retention(connection, instance, *days, *now).await.map(Done::Settings)
            }
            Self::Clear { instance, now, .. } => {
                retention::clear(connection, instance, *now).await.map(|()| Done::Nothing)
            }
            Self::Remove { due, .. } => retention::remove(connection, due).await.map(Done::Flag),
            Self::GiveBack { .. } => retention::give_back(connection).await.map(Done::Flag),
        }
    }

    /// Whoever asked may have gone: then nobody is told.
    fn tell(self, done: Done) {
        match (self, done) {
            (Self::Open { answer, .. }, Done::Opened(results)) => drop(answer.send(Ok(results))),
            (Self::Record { answer, .. } | Self::Settle { answer, .. } | Self::Clear { answer, .. }, Done::Nothing) => {
                drop(answer.send(Ok(())))
            }
            (Self::SetRetention { answer, .. }, Done::Settings(settings)) => drop(answer.send(Ok(settings))),
            (Self::Remove { answer, .. } | Self::GiveBack { answer }, Done::Flag(more)) => drop(answer.send(Ok(more))),
            (Self::TakeHeld { answer, .. } | Self::TakeTests { answer, .. }, Done::Taken(taken)) => {
                drop(answer.send(Ok(taken)));
            }
            (Self::QueueTest { answer, .. }, Done::QueuedTest(queued)) => drop(answer.send(Ok(queued))),
            (Self::Retry { answer, .. }, Done::Retried(retried)) => drop(answer.send(Ok(retried))),
            (Self::StartReplay { answer, .. }, Done::StartedReplay(running)) => drop(answer.send(Ok(running))),
            (Self::CancelReplay { answer, .. } | Self::AdvanceReplay { answer, .. }, Done::Flag(flag)) => {
                drop(answer.send(Ok(flag)));
            }
            (
                Self::ClockWasSetBack { answer, .. }
                | Self::HoldOverdue { answer, .. }
                | Self::ForgetClaims { answer, .. }
                | Self::ForgetCounts { answer, .. },
                Done::Count(count),
            ) => drop(answer.send(Ok(count))),
            _ => {}
        }
    }

    fn fail(self, error: StoreError) {
        match self {
            Self::Open { answer, .. } => drop(answer.send(Err(error))),
            Self::Record { answer, .. } | Self::Settle { answer, .. } | Self::Clear { answer, .. } => {
                drop(answer.send(Err(error)));
            }
            Self::SetRetention { answer, .. } => drop(answer.send(Err(error))),
            Self::Remove { answer, .. } | Self::GiveBack { answer } => drop(answer.send(Err(error))),
            Self::TakeHeld { answer, .. } | Self::TakeTests { answer, .. } => drop(answer.send(Err(error))),
            Self::QueueTest { answer, .. } => drop(answer.send(Err(error))),
            Self::Retry { answer, .. } => drop(answer.send(Err(error))),
            Self::StartReplay { answer, .. } => drop(answer.send(Err(error))),
            Self::CancelReplay { answer, .. } | Self::AdvanceReplay { answer, .. } => drop(answer.send(Err(error))),
            Self::ClockWasSetBack { answer, .. }
            | Self::HoldOverdue { answer, .. }
            | Self::ForgetClaims { answer, .. }
            | Self::ForgetCounts { answer, .. } => drop(answer.send(Err(error))),
        }
    }
}

/// The way to the task. It ends when the last of these is dropped and what was sent is written.
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
    address: Address,
}

impl Writer {
    #[expect(clippy::disallowed_methods, reason = "the store owns this task: it ends when the store is dropped")]
    pub(super) fn start(connection: SqliteConnection, address: Address) -> Self {
        let (jobs, queue) = mpsc::channel(QUEUE);
        tokio::spawn(work(connection, queue, address.clone()));
        Self { jobs, address }
    }

    pub(super) async fn run<T>(&self, job: impl FnOnce(Answer<T>) -> Job) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.jobs.send(job(answer)).await.map_err(|_| self.address.gone())?;
        answered.await.map_err(|_| self.address.gone())?
    }
}

async fn work(mut connection: SqliteConnection, mut queue: mpsc::Receiver<Job>, address: Address) {
    while let Some(first) = queue.recv().await {
        let mut rows = first.rows();
        let mut jobs = vec![first];
        while rows < ROWS
            && let Ok(job) = queue.try_recv()
        {
            rows += job.rows();
            jobs.push(job);
        }
        commit(&mut connection, jobs, &address).await;
    }
    if let Err(error) = connection.close().await {
        tracing::warn!(%error, "cannot close the history file cleanly; nothing is lost, its log is read at the next start");
    }
}

/// Runs jobs in one transaction. If that fails, each by itself: one that the database refuses must not fail the others.
async fn commit(connection: &mut SqliteConnection, jobs: Vec<Job>, address: &Address) {
    match transaction(connection, &jobs).await {
        Ok(done) => jobs.into_iter().zip(done).for_each(|(job, done)| job.tell(done)),
        Err(error) if jobs.len() == 1 => jobs.into_iter().for_each(|job| job.fail(address.failed(&error))),
        Err(_) => {
            for job in jobs {
                match transaction(connection, std::slice::from_ref(&job)).await {
                    Ok(mut done) => {
                        if let Some(done) = done.pop() {
                            job.tell(done);
                        }
                    }
                    Err(error) => job.fail(address.failed(&error)),
                }
            }
        }
    }
}

async fn transaction(connection: &mut SqliteConnection, jobs: &[Job]) -> Result<Vec<Done>, sqlx::Error> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let mut done = Vec::with_capacity(jobs.len());
    for job in jobs {
        done.push(job.run(&mut transaction).await?);
    }
    transaction.commit().await?;
    Ok(done)
}
