//! A last look before a new connection is used: looking up a name and connecting may take seconds, and what was
//! deactivated or deleted meanwhile must not be sent any more.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::future::BoxFuture;
use http::Uri;
use tower::{BoxError, Service};

use crate::{
    fair::Fair,
    stopwatch::{self, Mark},
    webhooks::{Found, Webhooks},
};

tokio::task_local! {
    /// Whom the connection is for that is being made.
    static RECIPIENT: Recipient;
}

/// A webhook that an attempt is for.
pub(crate) struct Recipient {
    webhooks: Arc<Webhooks>,
    id: i64,
    /// Whether it gets this while it is inactive.
    even_inactive: bool,
}

impl Recipient {
    pub(crate) fn new(webhooks: &Arc<Webhooks>, id: i64, even_inactive: bool) -> Self {
        Self { webhooks: Arc::clone(webhooks), id, even_inactive }
    }

    fn is_withdrawn(&self) -> bool {
        match self.webhooks.find(self.id) {
            Found::Webhook(webhook) => !webhook.active && !self.even_inactive,
            Found::Deleted | Found::Unknown => true,
        }
    }
}

/// Connecting has come too late: nothing was sent.
#[derive(Debug, thiserror::Error)]
#[error("the webhook was deactivated or deleted while connecting")]
pub(crate) struct Withdrawn;

/// Makes an attempt for a webhook; new connections of it end in [`Withdrawn`] once the webhook may not get it any more.
pub(crate) async fn attempt_for<T>(recipient: Recipient, attempt: impl Future<Output = T>) -> T {
    RECIPIENT.scope(recipient, attempt).await
}

/// Whether the webhook that this is for may not get it any more. A connection that outlives its attempt is for whoever
/// comes next.
fn is_withdrawn() -> bool {
    RECIPIENT.try_with(Recipient::is_withdrawn).unwrap_or(false)
}

/// There is no connection after the time that connecting may take.
#[derive(Debug, thiserror::Error)]
#[error("no connection in time")]
pub(crate) struct TooSlow;

/// A client's way of connecting, with the look, and a bound on its time; its connections are fair to each other.
#[derive(Clone)]
pub(crate) struct Gate<S> {
    connector: S,
    patience: Duration,
}

impl<S> Gate<S> {
    pub(crate) const fn new(connector: S, patience: Duration) -> Self {
        Self { connector, patience }
    }
}

impl<S> Service<Uri> for Gate<S>
where
    S: Service<Uri, Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = Fair<S::Response>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connector.poll_ready(context)
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let opened_for = stopwatch::dial(&target);
        let connecting = tokio::time::timeout(self.patience, self.connector.call(target));
        Box::pin(async move {
            let connected = connecting.await;
            opened_for.mark(Mark::Dialled);
            let connection = connected.map_err(|_| TooSlow)??;
            if is_withdrawn() { Err(Withdrawn.into()) } else { Ok(Fair::new(connection, opened_for)) }
        })
    }
}
