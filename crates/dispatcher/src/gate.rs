//! A last look before a new connection is used: looking up a name and connecting may take seconds, and what was
//! deactivated or deleted meanwhile must not be sent any more.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use futures::future::BoxFuture;
use tower::{BoxError, Layer, Service};

use crate::webhooks::{Found, Webhooks};

tokio::task_local! {
    /// Whom the connection is for that is being made.
    static RECIPIENT: (Arc<Webhooks>, i64);
}

/// Connecting has come too late: nothing was sent.
#[derive(Debug, thiserror::Error)]
#[error("the webhook was deactivated or deleted while connecting")]
pub(crate) struct Withdrawn;

/// Makes an attempt for a webhook; new connections of it end in [`Withdrawn`] once the webhook is not active.
pub(crate) async fn attempt_for<T>(webhooks: &Arc<Webhooks>, id: i64, attempt: impl Future<Output = T>) -> T {
    RECIPIENT.scope((Arc::clone(webhooks), id), attempt).await
}

/// Whether the webhook that this is for is not active any more. A connection that outlives its attempt is for whoever
/// comes next.
fn is_withdrawn() -> bool {
    let inactive = |(webhooks, id): &(Arc<Webhooks>, i64)| match webhooks.find(*id) {
        Found::Webhook(webhook) => !webhook.active,
        Found::Deleted | Found::Unknown => true,
    };
    RECIPIENT.try_with(inactive).unwrap_or(false)
}

/// Adds the look to a client's way of connecting.
#[derive(Clone, Copy)]
pub(crate) struct GateLayer;

impl<S> Layer<S> for GateLayer {
    type Service = Gate<S>;

    fn layer(&self, connector: S) -> Gate<S> {
        Gate(connector)
    }
}

#[derive(Clone)]
pub(crate) struct Gate<S>(S);

impl<S, R> Service<R> for Gate<S>
where
    S: Service<R, Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<S::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, target: R) -> Self::Future {
        let connecting = self.0.call(target);
        Box::pin(async move {
            let connection = connecting.await?;
            if is_withdrawn() { Err(Withdrawn.into()) } else { Ok(connection) }
        })
    }
}
