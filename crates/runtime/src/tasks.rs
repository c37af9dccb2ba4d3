//! Tasks that shutdown waits for, and whose panic is seen.

use std::time::Duration;

use futures::FutureExt as _;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The background tasks of a program. Cloning shares them.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    shutdown: CancellationToken,
    failed: CancellationToken,
}

impl Tasks {
    /// No tasks yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs a task to its end. It should end by itself soon after [`Tasks::shutdown_token`] is cancelled. A panic in it
    /// ends the program ([`Tasks::failed`]): half a service is worse than a restart.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let failed = self.failed.clone();
        self.tracker.spawn(async move {
            if std::panic::AssertUnwindSafe(task).catch_unwind().await.is_err() {
                tracing::error!(task = name, "task panicked; the program ends so that it can be restarted");
                failed.cancel();
            }
        });
    }

    /// Cancelled when the program is to end.
    #[must_use]
    pub const fn shutdown_token(&self) -> &CancellationToken {
        &self.shutdown
    }

    /// Ends the program because of something that cannot be mended in it.
    pub fn fail(&self, reason: &str) {
        tracing::error!(reason, "the program ends so that it can be restarted");
        self.failed.cancel();
    }

    /// Returns when a task has panicked, or [`Tasks::fail`] was called.
    pub async fn failed(&self) {
        self.failed.cancelled().await;
    }

    /// Tells the tasks to end and waits for them; `false`: some had not ended in time.
    pub async fn shut_down(&self, patience: Duration) -> bool {
        self.shutdown.cancel();
        self.tracker.close();
        tokio::time::timeout(patience, self.tracker.wait()).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn shutdown_waits_for_what_is_under_way() {
        let tasks = Tasks::new();
        let token = tasks.shutdown_token().clone();
        let done = CancellationToken::new();
        let flag = done.clone();
        tasks.spawn("worker", async move {
            token.cancelled().await;
            tokio::task::yield_now().await;
            flag.cancel();
        });
        assert!(tasks.shut_down(Duration::from_secs(5)).await);
        assert!(done.is_cancelled());
    }

    #[tokio::test]
    async fn a_panic_is_seen_and_an_endless_task_is_not_waited_for() {
        let tasks = Tasks::new();
        tasks.spawn("bad", async { panic!("on purpose") });
        tasks.failed().await;
        tasks.spawn("endless", std::future::pending());
        assert!(!tasks.shut_down(Duration::from_millis(10)).await);
    }
}
