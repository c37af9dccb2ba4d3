//! One type of client for a service in this process and for one elsewhere.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tokio::sync::SetOnce;
use tonic::{Status, body::Body, service::Routes, transport::Channel};
use tower::{Service, ServiceExt, util::BoxCloneSyncService};

/// What a generated client talks through, wherever the service is.
pub type GrpcChannel = BoxCloneSyncService<Request<Body>, Response<Body>, Status>;

/// A client's way to a service elsewhere.
#[must_use]
pub fn remote(channel: Channel) -> GrpcChannel {
    BoxCloneSyncService::new(channel.map_err(|error| Status::unavailable(chain(&error))))
}

/// An error with its causes on one line; transport errors say nothing by themselves.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Services of this process, which their clients get before the services exist: services need each other.
#[derive(Clone, Default)]
pub struct LocalServices {
    routes: Arc<SetOnce<Routes>>,
}

impl std::fmt::Debug for LocalServices {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("LocalServices").field("set", &self.routes.get().is_some()).finish()
    }
}

impl LocalServices {
    /// Sets the services, once; calls before wait for it. Setting again changes nothing.
    pub fn set(&self, routes: Routes) {
        let _ = self.routes.set(routes.prepare());
    }

    /// A client's way to them.
    #[must_use]
    pub fn channel(&self) -> GrpcChannel {
        BoxCloneSyncService::new(Local(self.clone()))
    }
}

#[derive(Clone)]
struct Local(LocalServices);

impl Service<Request<Body>> for Local {
    type Response = Response<Body>;
    type Error = Status;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Response<Body>, Status>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let services = self.0.clone();
        Box::pin(async move {
            let routes = services.routes.wait().await.clone();
            let answer: Result<_, Infallible> = <Routes as ServiceExt<Request<Body>>>::oneshot(routes, request).await;
            answer.map_err(|never| match never {})
        })
    }
}
