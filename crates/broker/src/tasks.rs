//! The one place in this crate that starts tasks.

use tokio::task::JoinHandle;

/// Starts a task that belongs to an adapter: it ends when the adapter is closed or dropped.
#[expect(clippy::disallowed_methods, reason = "adapters own their tasks: `Broker::close` ends them and waits")]
pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(task)
}
