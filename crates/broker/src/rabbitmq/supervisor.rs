//! Keeps one connection up for ever. lapin's own recovery gives up after a number of tries and does not bring back
//! channels that the broker closed, so it is not used.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::link::{Dialer, Link, Role};

/// Pauses between attempts: the first, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Where a connection stands.
#[derive(Clone, Debug)]
pub(super) enum LinkState {
    Up(Arc<Link>),
    Down(String),
}

impl LinkState {
    /// What is wrong with it, if anything.
    pub(super) fn problem(&self) -> Option<String> {
        match self {
            Self::Up(link) => {
                link.blocked.borrow().as_ref().map(|reason| format!("broker takes no messages at the moment: {reason}"))
            }
            Self::Down(reason) => Some(format!("not connected: {reason}")),
        }
    }
}

/// Pauses that double up to a bound.
#[derive(Debug)]
pub(super) struct Backoff(Duration);

impl Backoff {
    pub(super) const fn new() -> Self {
        Self(FIRST_PAUSE)
    }

    pub(super) async fn pause(&mut self) {
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 2).min(LONGEST_PAUSE);
    }
}

/// Follows `link` and dials anew whenever it ends, until `closing`.
pub(super) async fn supervise(
    dialer: Arc<Dialer>,
    role: Role,
    mut link: Arc<Link>,
    state: watch::Sender<LinkState>,
    closing: CancellationToken,
) {
    loop {
        let reason = tokio::select! {
            () = closing.cancelled() => break,
            reason = link.watch() => reason,
        };
        tracing::warn!(address = dialer.address(), role = role.name(), reason, "connection to the broker is lost");
        state.send_replace(LinkState::Down(reason.clone()));
        link.close(&reason).await;
        link = tokio::select! {
            () = closing.cancelled() => break,
            link = redial(&dialer, role, &state) => link,
        };
        tracing::info!(address = dialer.address(), role = role.name(), "connected to the broker again");
        state.send_replace(LinkState::Up(Arc::clone(&link)));
    }
    state.send_replace(LinkState::Down("broker is closed".to_owned()));
    link.close("broker is closed").await;
}

async fn redial(dialer: &Dialer, role: Role, state: &watch::Sender<LinkState>) -> Arc<Link> {
    let mut backoff = Backoff::new();
    let mut told = String::new();
    loop {
        backoff.pause().await;
        match dialer.dial(role).await {
            Ok(link) => return link,
            Err(error) => {
                let reason = error.to_string();
                // Once for each cause: an outage of an hour is not a thousand lines.
                if reason != told {
                    tracing::warn!(
                        address = dialer.address(),
                        role = role.name(),
                        reason,
                        "cannot connect to the broker"
                    );
                    told.clone_from(&reason);
                }
                state.send_replace(LinkState::Down(reason));
            }
        }
    }
}
