//! Where the time of an attempt goes: looking up the name, connecting, the TLS handshake, the answer.
//!
//! The steps of connecting are marked by whoever takes them, deep in the client (`client.rs`, `gate.rs`), for the attempt
//! whose task they run in. Marks are plain numbers: nothing is locked.
//!
//! The client may send a request over another connection than the one that it has begun to open for it, because one that
//! was in use became free sooner; what was begun is then finished for whoever comes next. The request did not wait for
//! that. So an attempt has the steps of a connection only if it was opened for it and used by it; otherwise there is
//! nothing but that a connection was reused, also where it was opened a moment ago for somebody else and never used.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures::future::BoxFuture;
use http::Uri;
use tokio::time::Instant;
use tower::Service;

tokio::task_local! {
    static RUNNING: Arc<Stopwatch>;
}

/// What has happened.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mark {
    /// A name is being looked up.
    Lookup,
    /// It is known where to connect to, and that this is permitted.
    Checked,
    /// A connection is there, perhaps without TLS yet.
    Connected,
    /// A TLS handshake begins.
    Handshake,
    /// Connecting is over, with a connection or without.
    Dialled,
    /// The head of the answer has come.
    Answered,
}

/// How many marks there are.
const MARKS: usize = Mark::Answered as usize + 1;

/// When an attempt started, and when something happened to it.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    started: Instant,
    /// Microseconds since the start, and one: 0 is for what has not happened.
    marks: [AtomicU64; MARKS],
}

/// How long the parts of an attempt took; `None`: it did not come to that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Timings {
    pub(crate) dns: Option<Duration>,
    pub(crate) connect: Option<Duration>,
    pub(crate) tls: Option<Duration>,
    /// From the start until the head of the answer had come.
    pub(crate) first_byte: Option<Duration>,
    pub(crate) total: Duration,
    /// Whether the connection was opened for another attempt.
    pub(crate) reused: bool,
}

/// Whose attempt a connection was opened for, if for any; the connection carries it.
#[derive(Clone, Debug, Default)]
pub(crate) struct OpenedFor(Option<Arc<Stopwatch>>);

impl Stopwatch {
    pub(crate) fn start() -> Arc<Self> {
        Arc::new(Self { started: Instant::now(), marks: Default::default() })
    }

    /// Runs an attempt, or a part of it.
    pub(crate) async fn time<T>(self: &Arc<Self>, attempt: impl Future<Output = T>) -> T {
        RUNNING.scope(Arc::clone(self), attempt).await
    }

    pub(crate) fn mark(&self, mark: Mark) {
        self.set(mark, self.started.elapsed());
    }

    fn set(&self, mark: Mark, after: Duration) {
        let after = u64::try_from(after.as_micros()).unwrap_or(u64::MAX - 1);
        self.marks[mark as usize].store(after + 1, Ordering::Relaxed);
    }

    fn get(&self, mark: Mark) -> Option<Duration> {
        self.marks[mark as usize].load(Ordering::Relaxed).checked_sub(1).map(Duration::from_micros)
    }

    /// A connection to `uri` is being opened: what was marked of another one counts no longer.
    fn dial(&self, uri: &Uri, after: Duration) {
        self.marks.iter().for_each(|mark| mark.store(0, Ordering::Relaxed));
        // A literal address is not looked up, and was checked before.
        if uri.host().is_some_and(is_literal) {
            self.set(Mark::Checked, after);
        }
    }

    /// Where its time went until now; `connection`: what its request was sent over, if it was.
    pub(crate) fn read(self: &Arc<Self>, connection: Option<&OpenedFor>) -> Timings {
        self.after(self.started.elapsed(), connection)
    }

    fn after(self: &Arc<Self>, total: Duration, connection: Option<&OpenedFor>) -> Timings {
        let first_byte = self.get(Mark::Answered);
        let is_own = |OpenedFor(whose): &OpenedFor| whose.as_ref().is_some_and(|whose| Arc::ptr_eq(whose, self));
        if connection.is_some_and(|connection| !is_own(connection)) {
            return Timings { first_byte, total, reused: true, ..Timings::default() };
        }
        // What was under way at the end took until then.
        let end = self.get(Mark::Dialled).unwrap_or(total);
        let step = |from, to| Some(self.get(to).unwrap_or(end).saturating_sub(self.get(from)?));
        Timings {
            dns: step(Mark::Lookup, Mark::Checked),
            connect: step(Mark::Checked, Mark::Connected),
            tls: step(Mark::Handshake, Mark::Dialled),
            first_byte,
            total,
            reused: false,
        }
    }
}

fn is_literal(host: &str) -> bool {
    host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok()
}

/// Marks something in the attempt whose task this is, if it is that of one.
pub(crate) fn mark(mark: Mark) {
    _ = RUNNING.try_with(|running| running.mark(mark));
}

/// The attempt that a connection to `uri` is being opened for: the one whose task this is.
pub(crate) fn dial(uri: &Uri) -> OpenedFor {
    let running = RUNNING.try_with(Arc::clone).ok();
    if let Some(running) = &running {
        running.dial(uri, running.started.elapsed());
    }
    OpenedFor(running)
}

impl OpenedFor {
    pub(crate) fn mark(&self, mark: Mark) {
        if let Some(running) = &self.0 {
            running.mark(mark);
        }
    }
}

/// A way of connecting without TLS, which marks that it has come to a connection, and whether TLS is next.
#[derive(Clone)]
pub(crate) struct Plain<S>(pub(crate) S);

impl<S> Service<Uri> for Plain<S>
where
    S: Service<Uri>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let encrypted = uri.scheme_str() == Some("https");
        let connecting = self.0.call(uri);
        Box::pin(async move {
            let connection = connecting.await?;
            mark(Mark::Connected);
            if encrypted {
                mark(Mark::Handshake);
            }
            Ok(connection)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    const NOTHING: Timings =
        Timings { dns: None, connect: None, tls: None, first_byte: None, total: Duration::ZERO, reused: false };

    #[test]
    fn each_step_takes_until_the_next_or_until_now() {
        let watch = Stopwatch::start();
        assert_eq!(watch.after(ms(1), None), Timings { total: ms(1), ..NOTHING });
        watch.dial(&Uri::from_static("https://receiver.example/"), ms(1));
        watch.set(Mark::Lookup, ms(1));
        let mut expected = Timings { dns: Some(ms(2)), total: ms(3), ..NOTHING };
        assert_eq!(watch.after(ms(3), None), expected);
        watch.set(Mark::Checked, ms(3));
        expected = Timings { connect: Some(ms(3)), total: ms(6), ..expected };
        assert_eq!(watch.after(ms(6), None), expected);
        watch.set(Mark::Connected, ms(6));
        watch.set(Mark::Handshake, ms(6));
        expected = Timings { tls: Some(ms(4)), total: ms(10), ..expected };
        assert_eq!(watch.after(ms(10), None), expected);
        watch.set(Mark::Dialled, ms(10));
        let own = OpenedFor(Some(Arc::clone(&watch)));
        expected = Timings { total: ms(15), ..expected };
        assert_eq!(watch.after(ms(15), Some(&own)), expected);
        watch.set(Mark::Answered, ms(15));
        expected = Timings { first_byte: Some(ms(15)), total: ms(16), ..expected };
        assert_eq!(watch.after(ms(16), Some(&own)), expected);
        let reused = Timings { first_byte: Some(ms(15)), total: ms(16), reused: true, ..NOTHING };
        for sooner in [OpenedFor(Some(Stopwatch::start())), OpenedFor(None)] {
            assert_eq!(watch.after(ms(16), Some(&sooner)), reused, "what was begun for it is not what it waited for");
        }
    }

    #[test]
    fn what_failed_took_as_long_as_that_took() {
        let watch = Stopwatch::start();
        watch.dial(&Uri::from_static("https://receiver.example/"), ms(0));
        watch.set(Mark::Lookup, ms(0));
        watch.set(Mark::Dialled, ms(2));
        assert_eq!(watch.after(ms(5), None), Timings { dns: Some(ms(2)), total: ms(5), ..NOTHING });
        // Another connection: to a literal address, which nobody looks up.
        watch.dial(&Uri::from_static("http://[2001:db8::1]:81/"), ms(5));
        watch.set(Mark::Dialled, ms(12));
        assert_eq!(watch.after(ms(13), None), Timings { connect: Some(ms(7)), total: ms(13), ..NOTHING });
    }

    #[test]
    fn nothing_is_marked_where_no_attempt_runs() {
        mark(Mark::Connected);
        assert!(dial(&Uri::from_static("http://receiver.example/")).0.is_none());
    }
}
