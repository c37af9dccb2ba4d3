//! The console: pages for people over the same gRPC services as the REST API, with no authority of its own.
//!
//! Every page is whole without scripts, and every action is a plain form. The one script (`static/console.js`) adds what
//! makes it quicker: copying, dialogs, pages that follow what happens.
//!
//! - `session` keeps who is signed in, `visitor` asks the services who that is, `sign_in` begins and ends it.
//! - `form` reads what is posted; `page`, `assets`, `compression`, `live` and `trouble` make answers; `text` makes fit to
//!   be seen what others wrote.
//! - The other modules are the screens, each with its template in `templates/`.

mod assets;
mod chart;
mod choice;
mod compression;
mod entries;
mod form;
mod live;
mod names;
mod page;
mod paging;
mod session;
mod settings;
mod sign_in;
mod text;
mod tokens;
mod trouble;
mod visitor;
mod webhooks;
mod when;

use axum::{
    Router,
    http::{HeaderMap, header},
    middleware,
    response::{IntoResponse as _, Response},
    routing::{get, post},
};

pub use session::{SessionKeys, Sessions};

use crate::{Services, error::Failure};

/// The pages, at the top of the address space.
pub(crate) fn routes() -> Router<Services> {
    Router::new()
        .route("/sign-in", get(sign_in::show).post(sign_in::enter))
        .route("/sign-out", post(sign_in::leave))
        .merge(webhooks::routes())
        .merge(entries::routes())
        .merge(tokens::routes())
        .merge(settings::routes())
        .merge(assets::routes())
        .layer(middleware::from_fn(compression::compress))
}

/// Whether an answer is for a browser's window rather than for a program.
pub(crate) fn is_for_people(path: &str, headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    path != "/api" && !path.starts_with("/api/") && accept.contains("text/html")
}

/// A failure as a page.
pub(crate) fn trouble(failure: Failure) -> Response {
    trouble::Trouble(failure).into_response()
}
