//! Pages that follow what happens: a part of a page, written anew every second, sent when it has changed (server-sent
//! events). Each time the services are asked with the visitor's token, so that who may no longer see it sees no more.

use std::{
    convert::Infallible,
    sync::{Arc, LazyLock},
    time::Duration,
};

use askama::Template;
use axum::response::{
    IntoResponse as _, Response,
    sse::{Event, KeepAlive, Sse},
};
use futures::{future::BoxFuture, stream};
use proto::error::ErrorCode;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{page::safe, trouble::Trouble};
use crate::error::Failure;

/// Between two looks.
const PACE: Duration = Duration::from_secs(1);
/// How long one request is followed; browsers come again by themselves.
const SPELL: Duration = Duration::from_secs(300);
/// How many are followed at a time by a process.
const MOST: usize = 500;

static PLACES: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(MOST)));

/// A part of a page as it is now.
pub(super) struct Part {
    html: String,
    /// Whether it will not change any more.
    is_final: bool,
}

impl Part {
    pub(super) fn new(part: &impl Template, is_final: bool) -> Result<Self, Trouble> {
        let failed = |error: askama::Error| Failure::new(ErrorCode::Internal, format!("a part of a page: {error}"));
        Ok(Self { html: part.render().map_err(failed)?, is_final })
    }
}

/// What looks at the part again.
type Look = Box<dyn FnMut() -> BoxFuture<'static, Result<Part, Trouble>> + Send>;

struct Follower {
    look: Look,
    shown: Option<String>,
    next: Instant,
    end: Instant,
    closing: CancellationToken,
    _place: OwnedSemaphorePermit,
}

/// The answer that follows what `look` writes. It is sent once at first: something may have happened since the page was
/// written.
pub(super) fn follow(
    closing: CancellationToken,
    look: impl FnMut() -> BoxFuture<'static, Result<Part, Trouble>> + Send + 'static,
) -> Result<Response, Trouble> {
    let Ok(place) = Arc::clone(&PLACES).try_acquire_owned() else {
        let text = "Too many pages are followed live; load this one again to see what is new.";
        return Err(Failure::new(ErrorCode::RateLimited, text).into());
    };
    let now = Instant::now();
    let look = Box::new(look);
    let follower = Follower { look, shown: None, next: now, end: now + SPELL, closing, _place: place };
    let events = stream::unfold(Some(follower), async |follower| follower?.next().await);
    Ok(safe(Sse::new(events).keep_alive(KeepAlive::default()).into_response()))
}

impl Follower {
    /// The next event, and who follows on; `None`: it is over for now.
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Option<Self>)> {
        loop {
            tokio::select! {
                () = self.closing.cancelled() => return None,
                () = sleep_until(self.next.min(self.end)) => {}
            }
            let now = Instant::now();
            if now >= self.end {
                return None;
            }
            self.next = now + PACE;
            match (self.look)().await {
                Ok(part) if part.is_final => return Some((event("last", &part.html), None)),
                Ok(part) if self.shown.as_ref() != Some(&part.html) => {
                    let event = event("part", &part.html);
                    self.shown = Some(part.html);
                    return Some((event, Some(self)));
                }
                Ok(_) => {}
                // It may be back in a moment.
                Err(Trouble(failure)) if failure.code() == ErrorCode::Unavailable => {}
                Err(_) => return Some((event("gone", ""), None)),
            }
        }
    }
}

/// As JSON, which has no line ends: an event's data is split at each.
fn event(name: &str, html: &str) -> Result<Event, Infallible> {
    Ok(Event::default().event(name).data(serde_json::Value::from(html).to_string()))
}
