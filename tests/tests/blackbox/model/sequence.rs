//! Does what a plan says to a running product, and tells the model.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use blackbox::{
    grpc::Grpc,
    history, jwt,
    product::Product,
    publisher::Publisher,
    random,
    receiver::Receiver,
    rest::{Answer, Rest},
    wait::eventually,
};
use hyper::Method;
use proto::v1::SetPlanRequest;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    plan::{Behaviour, Plan, Settings, Step},
    reference::Model,
};

/// A restart and the leases of what was killed are in it.
pub(super) const LONG: Duration = Duration::from_secs(60);
const WEBHOOKS: &str = "/api/v1/webhooks";

/// Whether the product is killed while sequences run, so that an answer may be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weather {
    Calm,
    Crashes,
}

/// A sequence in an instance of its own.
pub(super) struct Sequence {
    pub(super) plan: Plan,
    pub(super) model: Model,
    pub(super) rest: Rest,
    pub(super) weather: Weather,
    receiver: Arc<Receiver>,
    publisher: Publisher,
    core: Grpc,
    plan_version: i64,
    changing: Arc<Semaphore>,
}

/// What all sequences have in common.
pub(super) struct World {
    /// What JWTs are signed with.
    pub(super) key: String,
    pub(super) receiver: Arc<Receiver>,
    pub(super) weather: Weather,
    /// Saves at a time. With more than the subscription service has connections to its database the dispatcher waits in
    /// vain for what changed, and goes on with the webhooks that it knows: that is allowed, and not what is tested here.
    pub(super) changing: Arc<Semaphore>,
}

/// What answers a request: 2xx, or a refusal; none of what tells that something is away.
fn is_answer(answer: &Answer) -> bool {
    answer.status < 500
}

impl Sequence {
    pub(super) fn new(product: &Product, world: &World, plan: Plan) -> Self {
        let token = |role: &str| {
            let instance = format!("model-{}", plan.seed);
            let claims = json!({"sub": "model", "instance": instance, "role": role, "exp": jwt::in_seconds(3_600)});
            jwt::hs256(&world.key, &claims)
        };
        let publisher = token("publisher");
        Self {
            model: Model::default(),
            rest: product.rest(Some(&token("system_admin"))),
            weather: world.weather,
            receiver: Arc::clone(&world.receiver),
            changing: Arc::clone(&world.changing),
            publisher: product.publisher_with(Some(&publisher)),
            core: product.grpc(Some(&publisher)),
            plan_version: 0,
            plan,
        }
    }

    /// The path of one of the addresses of a webhook.
    pub(super) fn path(&self, webhook: usize, address: usize) -> String {
        format!("/{}/{webhook}/{address}", self.plan.seed)
    }

    /// Does all steps; `done` counts them.
    pub(super) async fn run(mut self, done: Arc<AtomicUsize>) -> Self {
        for step in self.plan.steps.clone() {
            self.step(step).await;
            done.fetch_add(1, Ordering::Relaxed);
        }
        self
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Create(behaviour, settings) => self.create(behaviour, settings).await,
            Step::Publish(content) => {
                let id = random::uuid().to_string();
                self.publish(content.event(&id)).await;
                self.model.published(id, content);
            }
            Step::PublishAgain(event, content) => {
                let event = content.event(&self.model.events[event].id);
                self.publish(event).await;
            }
            Step::Edit(webhook, settings) => {
                let (path, body) = (self.webhook(webhook, ""), self.fields(webhook, settings));
                let (from, answer) = self.call(Method::PATCH, &path, Some(body)).await;
                let _: Value = answer.expect(200);
                self.model.changed(webhook, from, |state| state.settings = settings);
            }
            Step::Pause(webhook) => {
                let (from, answer) = self.call(Method::POST, &self.webhook(webhook, "/deactivate"), None).await;
                let _: Value = answer.expect(200);
                self.model.changed(webhook, from, |state| state.active = false);
            }
            Step::Resume(webhook) => self.resume(webhook).await,
            Step::Delete(webhook) => {
                let (from, answer) = self.call(Method::DELETE, &self.webhook(webhook, ""), None).await;
                let repeated = self.weather == Weather::Crashes && answer.status == 404;
                assert!(answer.status == 204 || repeated, "answered {}: {}", answer.status, answer.json);
                self.model.changed(webhook, from, |state| state.deleted = true);
            }
            Step::Downgrade => {
                let from = self.set_plan("free").await;
                self.model.downgraded = true;
                for webhook in 0..self.model.webhooks.len() {
                    self.model.changed(webhook, from, |state| state.active = false);
                }
            }
            Step::Upgrade => {
                self.set_plan("business").await;
                self.model.downgraded = false;
            }
            Step::Retry(webhook) => self.retry(webhook).await,
            Step::Matched => self.matched().await,
            Step::Settled => self.settled().await,
        }
    }

    async fn turn(&self) -> OwnedSemaphorePermit {
        Arc::clone(&self.changing).acquire_owned().await.expect("nobody closes it")
    }

    /// A request that saves something, until it is answered: when the first try began, and the answer.
    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> (Instant, Answer) {
        let _turn = self.turn().await;
        let from = Instant::now();
        let answer = eventually(LONG, format!("{method} {path} is answered"), async || {
            self.try_call(method.clone(), path, body.as_ref()).await
        });
        (from, answer.await)
    }

    /// `None`: the answer is lost, or something is away; that is only possible where there are crashes.
    async fn try_call(&self, method: Method, path: &str, body: Option<&Value>) -> Option<Answer> {
        let what = format!("{method} {path}");
        let body = body.map(|body| ("application/json", body.to_string().into()));
        let answer = self.rest.try_send(method, path, body).await;
        if self.weather == Weather::Calm {
            let answer = answer.unwrap_or_else(|error| panic!("{what}: {error}"));
            assert!(is_answer(&answer), "{what} answered {}: {}", answer.status, answer.json);
            return Some(answer);
        }
        answer.ok().filter(is_answer)
    }

    fn webhook(&self, webhook: usize, action: &str) -> String {
        format!("{WEBHOOKS}/{}{action}", self.model.webhooks[webhook].id)
    }

    fn fields(&self, webhook: usize, settings: Settings) -> Value {
        let mut body = settings.to_json();
        body["url"] = json!(self.receiver.url(&self.path(webhook, settings.address)));
        body
    }

    /// An answer that was lost may have been to a webhook that was made; its name tells.
    async fn create(&mut self, behaviour: Behaviour, settings: Settings) {
        let webhook = self.model.webhooks.len();
        for address in 0..2 {
            self.receiver.script(&self.path(webhook, address), behaviour.script());
        }
        let name = format!("webhook-{webhook}");
        let mut body = self.fields(webhook, settings);
        (body["name"], body["type"], body["allow_insecure"]) = (json!(name), json!("generic"), json!(true));
        let _turn = self.turn().await;
        let from = Instant::now();
        let id = eventually(LONG, format!("{name} is made"), async || {
            let found = self.try_call(Method::GET, &format!("{WEBHOOKS}?q={name}"), None).await?.json;
            assert!(found["result"].is_array(), "{found}");
            if let Some(id) = found["result"][0]["id"].as_i64() {
                return Some(id);
            }
            let made = self.try_call(Method::POST, WEBHOOKS, Some(&body)).await?.expect(201);
            made["id"].as_i64()
        })
        .await;
        self.model.created(id, behaviour, settings, from);
    }

    async fn publish(&self, event: proto::v1::Event) {
        if self.weather == Weather::Calm {
            let published = self.publisher.publish(event.clone()).await;
            assert_eq!(published.expect("an accepted event"), event.id);
        } else {
            self.publisher.publish_all(&[event], 1, LONG).await;
        }
    }

    async fn resume(&mut self, webhook: usize) {
        let (from, answer) = self.call(Method::POST, &self.webhook(webhook, "/activate"), None).await;
        if self.model.downgraded {
            answer.expect_error(403, Some("plan_required"), &[]);
            return;
        }
        let _: Value = answer.expect(200);
        self.model.changed(webhook, from, |state| state.active = true);
    }

    /// Presses *Retry* on all deliveries of a webhook, of which none is on its way. What has failed for good is tried again;
    /// anything else is refused.
    async fn retry(&mut self, webhook: usize) {
        let id = self.model.webhooks[webhook].id;
        let path = format!("{WEBHOOKS}/{id}/deliveries?per_page=100");
        let listed =
            eventually(LONG, "entries are listed", async || self.try_call(Method::GET, &path, None).await).await;
        let entries = listed.json["result"].as_array().unwrap_or_else(|| panic!("no list in {}", listed.json)).clone();
        let entries: Vec<_> = entries.into_iter().map(history::Entry).collect();
        assert!(entries.len() < 100, "a sequence makes fewer entries than a page has");
        let state = self.model.webhooks[webhook].state;
        for event in 0..self.model.events.len() {
            let id = &self.model.events[event].id;
            let of_event: Vec<_> = entries.iter().filter(|entry| entry.event() == id).collect();
            let Some(first) = of_event.first() else { continue };
            let failed = of_event.iter().all(|entry| entry.status() == "failed");
            let expected = match (self.model.downgraded, failed && state.active && !state.deleted) {
                (true, _) => 403,
                (false, true) => 202,
                (false, false) => 409,
            };
            let path = format!("{WEBHOOKS}/deliveries/{}/retry", first.delivery());
            let (mut lost, _turn) = (0, self.turn().await);
            let answer = eventually(LONG, format!("POST {path} is answered"), async || {
                let answer = self.try_call(Method::POST, &path, None).await;
                lost += usize::from(answer.is_none());
                answer
            })
            .await;
            // A press whose answer was lost may have been accepted, and the next one refused because of it.
            let overtaken = lost > 0 && expected == 202 && answer.status == 409;
            assert!(answer.status == expected || overtaken, "{expected}, but {}: {}", answer.status, answer.json);
            let lost = if expected == 202 { lost } else { 0 };
            self.model.pressed(event, webhook, lost, answer.status == 202);
        }
    }

    /// Tells the plan; when the first try began.
    async fn set_plan(&mut self, plan: &str) -> Instant {
        self.plan_version += 1;
        let _turn = self.turn().await;
        let from = Instant::now();
        eventually(LONG, format!("the plan {plan} is told"), async || {
            let request = SetPlanRequest { instance: String::new(), plan: plan.to_owned(), version: self.plan_version };
            let told = self.core.instances().set_plan(request).await;
            assert!(told.is_ok() || self.weather == Weather::Crashes, "{told:?}");
            told.ok()
        })
        .await;
        from
    }

    /// History has every event that some webhook selects once it is matched, whoever gets it; the first one selects all.
    async fn matched(&mut self) {
        let path = self.webhook(0, "/explain");
        for event in self.model.unmatched() {
            let body = json!({"event_id": event});
            eventually(LONG, format!("event {event} is matched"), async || {
                let answer = self.try_call(Method::POST, &path, Some(&body)).await?;
                assert!([200, 404].contains(&answer.status), "answered {}: {}", answer.status, answer.json);
                (answer.status == 200).then_some(())
            })
            .await;
        }
        self.model.all_matched();
    }

    async fn settled(&mut self) {
        self.matched().await;
        let path = format!("{WEBHOOKS}/deliveries?status=pending&per_page=100");
        let begun = Instant::now();
        eventually(LONG * 2, "all that is pending waits for paused webhooks", async || {
            let json = self.try_call(Method::GET, &path, None).await?.json;
            let waiting = json["result"].as_array().unwrap_or_else(|| panic!("no list in {json}"));
            let mut entries = waiting.iter().map(|entry| history::Entry(entry.clone()));
            // It may have begun to wait for something else before its webhook was paused.
            let odd = entries.find(|entry| entry.waits_for().is_empty() || !self.model.is_paused(entry.webhook()));
            assert!(odd.is_none() || begun.elapsed() < LONG, "waits for {LONG:?} without need: {odd:?}");
            odd.is_none().then_some(())
        })
        .await;
    }
}
