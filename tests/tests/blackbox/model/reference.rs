//! The reference model: what must arrive, what may, and when. It knows nothing of how the product does it.

use std::time::{Duration, Instant};

use super::plan::{Behaviour, Content, Settings};

/// How long after an answer a POST may still start that the answer forbids.
const GRACE: Duration = Duration::from_secs(1);
/// How much later than its start a receiver may see it, on a machine that is busy with other tests.
const LATE: Duration = Duration::from_millis(500);

/// An instance as its sequence has left it.
#[derive(Default)]
pub(super) struct Model {
    pub(super) webhooks: Vec<Webhook>,
    pub(super) events: Vec<Event>,
    /// The plan has no webhooks.
    pub(super) downgraded: bool,
}

pub(super) struct Webhook {
    pub(super) id: i64,
    pub(super) behaviour: Behaviour,
    pub(super) state: State,
    /// Which address POSTs may have gone to and when: those so far, and the present one.
    phases: Vec<Phase>,
}

/// A webhook at some time; a deleted one wants nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct State {
    pub(super) settings: Settings,
    pub(super) active: bool,
    pub(super) deleted: bool,
}

#[derive(Debug)]
struct Phase {
    /// `None`: nothing may be sent.
    address: Option<usize>,
    /// When the call that brought it began.
    from: Instant,
    /// When the call that ended it had answered.
    until: Option<Instant>,
}

pub(super) struct Event {
    pub(super) id: String,
    pub(super) content: Content,
    /// For each webhook there was.
    verdicts: Vec<Verdict>,
    /// How many attempts somebody has asked for beyond those of the schedule, for each webhook there was.
    retries: Vec<Retries>,
    /// Whether it is known to be matched; what changes from then on does not concern it.
    matched: bool,
}

/// How many attempts were asked for: at least those whose press was answered well, at most those and the presses whose
/// answer was lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Retries {
    pub(super) least: usize,
    pub(super) most: usize,
}

/// Whether a webhook gets an event, as it was from when the event was accepted until it was matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// At all times.
    Must,
    /// At some time.
    May,
    /// At no time.
    Never,
}

impl State {
    fn wants(&self, event: Content) -> bool {
        self.active && !self.deleted && self.settings.want(event)
    }

    fn address(&self) -> Option<usize> {
        (self.active && !self.deleted).then_some(self.settings.address)
    }
}

impl Verdict {
    /// With a time more.
    fn and(self, wanted: bool) -> Self {
        match (self, wanted) {
            (Self::Must, true) | (Self::Never, false) => self,
            _ => Self::May,
        }
    }
}

impl Model {
    /// A webhook was made by a call that began at `from`.
    pub(super) fn created(&mut self, id: i64, behaviour: Behaviour, settings: Settings, from: Instant) {
        let state = State { settings, active: true, deleted: false };
        let phases = vec![Phase { address: state.address(), from, until: None }];
        self.webhooks.push(Webhook { id, behaviour, state, phases });
        for event in &mut self.events {
            let may = !event.matched && state.wants(event.content);
            event.verdicts.push(if may { Verdict::May } else { Verdict::Never });
            event.retries.push(Retries::default());
        }
    }

    /// An event was accepted, for the first time.
    pub(super) fn published(&mut self, id: String, content: Content) {
        let verdict = |webhook: &Webhook| if webhook.state.wants(content) { Verdict::Must } else { Verdict::Never };
        let verdicts = self.webhooks.iter().map(verdict).collect();
        let retries = vec![Retries::default(); self.webhooks.len()];
        self.events.push(Event { id, content, verdicts, retries, matched: false });
    }

    /// A webhook was changed by a call that began at `from` and has just been answered.
    pub(super) fn changed(&mut self, webhook: usize, from: Instant, change: impl FnOnce(&mut State)) {
        let state = &mut self.webhooks[webhook].state;
        change(state);
        let state = *state;
        for event in self.events.iter_mut().filter(|event| !event.matched) {
            let verdict = &mut event.verdicts[webhook];
            *verdict = verdict.and(state.wants(event.content));
        }
        let phases = &mut self.webhooks[webhook].phases;
        let present = phases.last_mut().expect("the phase that it was made with");
        if present.address != state.address() {
            present.until = Some(Instant::now());
            phases.push(Phase { address: state.address(), from, until: None });
        }
    }

    /// The events that are not known to be matched.
    pub(super) fn unmatched(&self) -> Vec<String> {
        self.events.iter().filter(|event| !event.matched).map(|event| event.id.clone()).collect()
    }

    /// All events so far are matched.
    pub(super) fn all_matched(&mut self) {
        self.events.iter_mut().for_each(|event| event.matched = true);
    }

    /// *Retry* was pressed on a delivery: `lost` times without an answer, and whether it was accepted then.
    pub(super) fn pressed(&mut self, event: usize, webhook: usize, lost: usize, accepted: bool) {
        let retries = &mut self.events[event].retries[webhook];
        retries.least += usize::from(accepted);
        retries.most += lost + usize::from(accepted);
    }

    pub(super) fn retries(&self, event: usize, webhook: usize) -> Retries {
        self.events[event].retries[webhook]
    }

    pub(super) fn verdict(&self, event: usize, webhook: usize) -> Verdict {
        self.events[event].verdicts[webhook]
    }

    /// Whether deliveries of the webhook with this id may wait for as long as it is paused.
    pub(super) fn is_paused(&self, id: i64) -> bool {
        self.webhooks.iter().any(|webhook| webhook.id == id && !webhook.state.active && !webhook.state.deleted)
    }
}

impl Webhook {
    /// Whether a POST to this address may have started at `at`.
    pub(super) fn may_have_sent(&self, address: usize, at: Instant) -> bool {
        self.phases.iter().any(|phase| {
            phase.address == Some(address)
                && phase.from <= at
                && phase.until.is_none_or(|until| at <= until + GRACE + LATE)
        })
    }

    /// Its phases, for a message.
    pub(super) fn phases(&self, at: Instant) -> String {
        let ago = |time: Instant| {
            time.saturating_duration_since(at).as_secs_f64() - at.saturating_duration_since(time).as_secs_f64()
        };
        let phase = |phase: &Phase| {
            format!("address {:?} from {:.3} s until {:?} s", phase.address, ago(phase.from), phase.until.map(ago))
        };
        self.phases.iter().map(phase).collect::<Vec<_>>().join(", ")
    }
}
