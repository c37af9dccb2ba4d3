//! Who may send a message at all: calls are looked at by their token before a byte of their message is kept.
//!
//! Otherwise anybody who can connect could have as much memory as a message may have, as often as there are calls: the
//! services see a call when its message is whole.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::Request,
    middleware::{Next, from_fn},
    response::Response,
};
use domain::Identity;
use tonic::{Extensions, Status, metadata::MetadataMap, service::Routes};

use crate::{Authenticator, ServiceCredential, auth};

/// Routes for callers with a token. The services still decide what the caller may do.
#[must_use]
pub fn for_callers(routes: Routes, authenticator: &Arc<dyn Authenticator>) -> Routes {
    let authenticator = Arc::clone(authenticator);
    admit(routes, move |metadata| {
        let authenticator = Arc::clone(&authenticator);
        async move { auth::caller(&*authenticator, &metadata).await.map(Some) }
    })
}

/// Routes for the other services. These still check who calls.
#[must_use]
pub fn for_services(routes: Routes, credential: &ServiceCredential) -> Routes {
    let credential = credential.clone();
    admit(routes, move |metadata| {
        let checked = credential.check(&metadata);
        async move { checked.map(|()| None) }
    })
}

/// Several services as one. Each of them answers unknown methods by itself; merged, only the first does.
#[must_use]
pub fn merged(first: Routes, others: impl IntoIterator<Item = Routes>) -> Routes {
    let others = others.into_iter().map(|routes| routes.into_axum_router().reset_fallback());
    Routes::from(others.fold(first.into_axum_router(), axum::Router::merge))
}

/// Who sent a request: as it was found out when the call came in, or else now.
///
/// # Errors
/// UNAUTHENTICATED without a valid token, UNAVAILABLE if it cannot be checked now.
pub async fn admitted(
    authenticator: &dyn Authenticator,
    extensions: &Extensions,
    metadata: &MetadataMap,
) -> Result<Identity, Status> {
    match extensions.get::<Identity>() {
        Some(caller) => Ok(caller.clone()),
        None => auth::caller(authenticator, metadata).await,
    }
}

fn admit<C, A>(routes: Routes, check: C) -> Routes
where
    C: Fn(MetadataMap) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Result<Option<Identity>, Status>> + Send + 'static,
{
    let guard = move |mut request: Request, next: Next| {
        let checked = check(MetadataMap::from_headers(request.headers().clone()));
        async move {
            match checked.await {
                Ok(caller) => {
                    if let Some(caller) = caller {
                        request.extensions_mut().insert(caller);
                    }
                    next.run(request).await
                }
                Err(status) => refusal(status),
            }
        }
    };
    Routes::from(routes.into_axum_router().route_layer(from_fn(guard)))
}

fn refusal(status: Status) -> Response {
    status.into_http::<tonic::body::Body>().map(Body::new)
}
