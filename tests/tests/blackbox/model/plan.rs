//! What a sequence does: drawn from a seed, and nothing else, before it begins.

use std::time::Duration;

use blackbox::{
    events,
    random::Seeded,
    receiver::{Answer, Script},
};
use proto::v1::{Event, RunResult, event::Data};
use serde_json::{Value, json};

/// The waits between attempts, as configuration has them; a delivery has one attempt more.
pub(super) const SCHEDULE: &str = r#"["0s", "300ms"]"#;
/// Attempts of a delivery at most.
pub(super) const ATTEMPTS: usize = 3;
/// Webhooks of a sequence at most.
const WEBHOOKS: usize = 4;

const SELECTIONS: [&[&str]; 5] =
    [&["*"], &["run.*"], &["run.completed"], &["milestone.completed", "run.created"], &["milestone.*"]];
const SCOPES: [Option<&[i64]>; 4] = [None, Some(&[1]), Some(&[1, 2]), Some(&[3])];
const PROJECTS: [i64; 3] = [1, 2, 3];

/// All that a sequence does.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) steps: Vec<Step>,
}

/// Webhooks and events are numbered from 0 in the order in which they are made.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Create(Behaviour, Settings),
    Publish(Content),
    /// The id of an earlier event with another content.
    PublishAgain(usize, Content),
    Edit(usize, Settings),
    Pause(usize),
    Resume(usize),
    Delete(usize),
    Downgrade,
    Upgrade,
    /// Presses *Retry* on every delivery of a webhook; follows [`Step::Settled`].
    Retry(usize),
    /// Waits until all that was published is matched.
    Matched,
    /// Waits until nothing is pending but what waits for paused webhooks.
    Settled,
}

/// How a webhook's endpoint answers the attempts of every delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behaviour {
    Healthy,
    FailsOnce,
    FailsTwice,
    Fails,
    Gone,
    HangsUpOnce,
    Slow,
    Limited,
}

/// What an endpoint makes of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Status(u16),
    HangsUp,
}

/// What may change of a webhook, beside whether it is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) selection: usize,
    scope: usize,
    filtered: bool,
    /// Which of the endpoint's two addresses.
    pub(super) address: usize,
}

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Content {
    kind: Kind,
    pub(super) project: i64,
    /// Of its run or milestone.
    pub(super) number: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    RunFailed,
    RunPassed,
    RunCreated,
    MilestoneCompleted,
}

impl Behaviour {
    const ALL: [Self; 8] = [
        Self::Healthy,
        Self::FailsOnce,
        Self::FailsTwice,
        Self::Fails,
        Self::Gone,
        Self::HangsUpOnce,
        Self::Slow,
        Self::Limited,
    ];

    /// To attempts 1, 2, …; the last stands for all that follow.
    fn replies(self) -> &'static [Reply] {
        use Reply::{HangsUp, Status};
        match self {
            Self::Healthy | Self::Slow => &[Status(200)],
            Self::FailsOnce => &[Status(500), Status(200)],
            Self::FailsTwice => &[Status(503), Status(302), Status(204)],
            Self::Fails => &[Status(500)],
            Self::Gone => &[Status(410)],
            Self::HangsUpOnce => &[HangsUp, Status(200)],
            Self::Limited => &[Status(429), Status(200)],
        }
    }

    /// To attempt `number`, from 1.
    pub(super) fn reply(self, number: usize) -> Reply {
        let replies = self.replies();
        replies[(number - 1).min(replies.len() - 1)]
    }

    /// The number of the attempt that a delivery ends with, whichever way.
    pub(super) fn last_attempt(self) -> usize {
        (1..ATTEMPTS).find(|number| self.reply(*number).ends()).unwrap_or(ATTEMPTS)
    }

    pub(super) fn script(self) -> Script {
        let answer = |reply: &Reply| match (self, reply) {
            (_, Reply::HangsUp) => Answer::close(),
            (Self::Slow, Reply::Status(status)) => Answer::status(*status).delay(Duration::from_millis(1_200)),
            (Self::Limited, Reply::Status(429)) => Answer::status(429).header("retry-after", "1"),
            (_, Reply::Status(status)) => Answer::status(*status),
        };
        Script::by_attempt(self.replies().iter().map(answer).collect())
    }
}

impl Reply {
    /// Whether it is delivered.
    pub(super) fn is_success(self) -> bool {
        matches!(self, Self::Status(200..=299))
    }

    fn ends(self) -> bool {
        matches!(self, Self::Status(200..=299 | 400..=428 | 430..=499))
    }
}

impl Settings {
    /// The rule of matching, but for whether the webhook is active.
    pub(super) fn want(self, event: Content) -> bool {
        let selected = match event.kind {
            Kind::RunFailed | Kind::RunPassed => [0, 1, 2].contains(&self.selection),
            Kind::RunCreated => [0, 1, 3].contains(&self.selection),
            Kind::MilestoneCompleted => [0, 3, 4].contains(&self.selection),
        };
        let in_scope = SCOPES[self.scope].is_none_or(|projects| projects.contains(&event.project));
        selected && in_scope && (!self.filtered || event.kind == Kind::RunFailed)
    }

    /// As REST wants them, without the URL.
    pub(super) fn to_json(self) -> Value {
        let filter: &[&str] = if self.filtered { &["data.result == failed"] } else { &[] };
        json!({"events": SELECTIONS[self.selection], "projects": SCOPES[self.scope], "filter": filter})
    }
}

impl Content {
    /// An event of this content and id.
    pub(super) fn event(self, id: &str) -> Event {
        let mut event = match self.kind {
            Kind::RunFailed | Kind::RunPassed => events::run_completed(self.project, self.number),
            Kind::RunCreated => events::run_created(self.project, self.number),
            Kind::MilestoneCompleted => events::milestone_completed(self.project, self.number),
        };
        if let (Kind::RunPassed, Some(Data::RunCompleted(data))) = (self.kind, &mut event.data) {
            data.result = RunResult::Passed.into();
        }
        id.clone_into(&mut event.id);
        event
    }

    /// Whether a generic payload tells this.
    pub(super) fn is_told_by(self, payload: &Value) -> bool {
        let (kind, entity, result) = match self.kind {
            Kind::RunFailed => ("run.completed", "run", json!("failed")),
            Kind::RunPassed => ("run.completed", "run", json!("passed")),
            Kind::RunCreated => ("run.created", "run", Value::Null),
            Kind::MilestoneCompleted => ("milestone.completed", "milestone", Value::Null),
        };
        let data = &payload["data"];
        payload["event"] == kind
            && payload["project"]["id"] == self.project
            && data[entity]["id"] == self.number
            && data["result"] == result
    }
}

impl Plan {
    /// The plan of this seed.
    pub(super) fn of(seed: u64) -> Self {
        let draft = Draft {
            dice: Seeded::new(seed),
            webhooks: Vec::new(),
            events: 0,
            numbers: 0,
            eligible: true,
            steps: Vec::new(),
        };
        Self { seed, steps: draft.finish() }
    }
}

/// A plan while it is being drawn.
struct Draft {
    dice: Seeded,
    webhooks: Vec<Drafted>,
    events: usize,
    numbers: i64,
    /// Whether the plan of the instance allows webhooks.
    eligible: bool,
    steps: Vec<Step>,
}

/// A webhook as the steps so far leave it.
#[derive(Clone, Copy)]
struct Drafted {
    behaviour: Behaviour,
    settings: Settings,
    active: bool,
    deleted: bool,
}

impl Draft {
    fn finish(mut self) -> Vec<Step> {
        self.create();
        for _ in 0..self.dice.below(3) {
            self.create();
        }
        self.publish();
        for _ in 0..8 + self.dice.below(8) {
            self.step();
        }
        if !self.eligible && self.dice.percent(70) {
            self.upgrade();
        }
        for webhook in 0..self.webhooks.len() {
            if self.dice.percent(70) {
                self.resume(webhook);
            }
        }
        self.steps.push(Step::Settled);
        self.steps
    }

    fn step(&mut self) {
        let webhook = self.dice.below(self.webhooks.len());
        match self.dice.below(100) {
            0..40 => self.publish(),
            40..45 => self.publish_again(),
            45..58 => self.edit(webhook),
            58..69 => self.pause(webhook),
            69..82 => self.resume(webhook),
            82..87 => self.delete(webhook),
            87..91 => self.create(),
            91..94 => self.downgrade(),
            94..96 => self.upgrade(),
            96..99 => self.retry(),
            _ => self.steps.push(Step::Settled),
        }
    }

    fn settings(&mut self) -> Settings {
        let selection = self.dice.below(SELECTIONS.len());
        // The first webhook selects every type, so that history has each event, whoever gets it.
        let selection = if self.webhooks.is_empty() { 0 } else { selection };
        let scope = if self.dice.percent(40) { 0 } else { self.dice.below(SCOPES.len()) };
        Settings { selection, scope, filtered: self.dice.percent(25), address: 0 }
    }

    fn create(&mut self) {
        if self.webhooks.len() == WEBHOOKS || !self.eligible {
            return;
        }
        let behaviour = self.dice.pick(&Behaviour::ALL);
        let settings = self.settings();
        self.webhooks.push(Drafted { behaviour, settings, active: true, deleted: false });
        self.steps.push(Step::Create(behaviour, settings));
    }

    fn content(&mut self) -> Content {
        let kinds = [Kind::RunFailed, Kind::RunFailed, Kind::RunPassed, Kind::RunCreated, Kind::MilestoneCompleted];
        self.numbers += 1;
        Content { kind: self.dice.pick(&kinds), project: self.dice.pick(&PROJECTS), number: self.numbers }
    }

    /// One to three events; then it is certain in half of the cases what they were matched against.
    fn publish(&mut self) {
        for _ in 0..=self.dice.below(3) {
            let content = self.content();
            self.steps.push(Step::Publish(content));
            self.events += 1;
        }
        if self.dice.percent(50) {
            self.steps.push(Step::Matched);
        }
    }

    fn publish_again(&mut self) {
        let (event, content) = (self.dice.below(self.events), self.content());
        self.steps.push(Step::PublishAgain(event, content));
    }

    fn edit(&mut self, webhook: usize) {
        if self.webhooks[webhook].deleted {
            return;
        }
        let (old, drawn) = (self.webhooks[webhook].settings, self.settings());
        let settings = match self.dice.below(4) {
            0 if webhook > 0 => Settings { selection: drawn.selection, ..old },
            0 | 1 => Settings { scope: drawn.scope, ..old },
            2 => Settings { filtered: !old.filtered, ..old },
            _ => Settings { address: 1 - old.address, ..old },
        };
        self.webhooks[webhook].settings = settings;
        self.steps.push(Step::Edit(webhook, settings));
    }

    fn pause(&mut self, webhook: usize) {
        if !self.webhooks[webhook].deleted {
            self.webhooks[webhook].active = false;
            self.steps.push(Step::Pause(webhook));
        }
    }

    /// Rather one that is paused.
    fn resume(&mut self, webhook: usize) {
        let paused = self.webhooks.iter().position(|webhook| !webhook.active && !webhook.deleted);
        let webhook = paused.filter(|_| self.dice.percent(60)).unwrap_or(webhook);
        if !self.webhooks[webhook].deleted {
            self.webhooks[webhook].active |= self.eligible;
            self.steps.push(Step::Resume(webhook));
        }
    }

    /// Rather one whose deliveries fail for good.
    fn retry(&mut self) {
        let fails = |webhook: &Drafted| matches!(webhook.behaviour, Behaviour::Fails | Behaviour::Gone);
        let failing = self.webhooks.iter().position(fails).filter(|_| self.dice.percent(80));
        let webhook = failing.unwrap_or_else(|| self.dice.below(self.webhooks.len()));
        self.steps.extend([Step::Settled, Step::Retry(webhook)]);
    }

    fn delete(&mut self, webhook: usize) {
        // The first one stays, to ask about events.
        if webhook > 0 && !self.webhooks[webhook].deleted {
            self.webhooks[webhook].deleted = true;
            self.steps.push(Step::Delete(webhook));
        }
    }

    fn downgrade(&mut self) {
        if self.eligible {
            self.eligible = false;
            self.webhooks.iter_mut().for_each(|webhook| webhook.active = false);
            self.steps.push(Step::Downgrade);
        }
    }

    fn upgrade(&mut self) {
        if !self.eligible {
            self.eligible = true;
            self.steps.push(Step::Upgrade);
        }
    }
}
