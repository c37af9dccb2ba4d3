//! What Testmo core tells while deliveries run: a plan without webhooks, and projects that are deleted.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use blackbox::{
    grpc::Grpc,
    history, in_both_modes,
    load::{Load, Published},
    product::{Mode, Product},
    receiver::Receiver,
    rest::Rest,
    wait::eventually,
    webhooks::{self, Webhook},
};
use proto::v1::{DeleteProjectRequest, PutProjectRequest, SetPlanRequest};
use serde_json::{Value, json};

in_both_modes!(a_plan_without_webhooks_ends_all_deliveries, a_deleted_project_leaves_every_scope);

const SOON: Duration = Duration::from_secs(20);
/// What was on the wire when a call returned may still arrive for so long.
const ON_THE_WIRE: Duration = Duration::from_secs(1);
/// So long after it was accepted an event may be matched while the machine is busy; a change in between may decide.
const LAG: Duration = Duration::from_secs(2);
/// Longer than a retry waits.
const QUIET: Duration = Duration::from_secs(4);
/// So many events make deliveries run.
const RUNNING: usize = 60;

const FIRST: usize = 0;
const BOTH: usize = 1;
const ALL: usize = 2;
const FAILING: usize = 3;
const PATHS: [&str; 4] = ["/first", "/both", "/all", "/failing"];

/// Four webhooks that get events all the time, one of which fails so that its deliveries wait for their second attempt.
struct World {
    product: Product,
    rest: Rest,
    core: Grpc,
    receiver: Receiver,
    hooks: Vec<Webhook>,
    load: Load,
}

impl World {
    async fn start(mode: Mode) -> Self {
        let product = Product::prepare(mode).set("delivery.retry_schedule", r#"["0s","3s","3s"]"#).start().await;
        let (rest, core) = (product.admin(), product.grpc(Some(product.publisher_token())));
        let receiver = Receiver::start().await;
        receiver.script(PATHS[FAILING], 500);
        let mut hooks = Vec::new();
        for (path, projects) in PATHS.iter().zip([json!([1]), json!([1, 2]), json!(null), json!([1])]) {
            let mut body = webhooks::generic(&receiver.url(path));
            body["projects"] = projects;
            hooks.push(webhooks::create(&rest, body).await);
        }
        let load = Load::start(product.publisher(), &[1, 2]);
        let world = Self { product, rest, core, receiver, hooks, load };
        for path in PATHS {
            world.receiver.wait_for(path, RUNNING / 2, SOON).await;
        }
        world
    }

    async fn hook(&self, hook: usize) -> Value {
        self.rest.get(&format!("/api/v1/webhooks/{}", self.hooks[hook].id)).await.expect(200)
    }

    async fn activate(&self, hook: usize) -> blackbox::rest::Answer {
        self.rest.act(&format!("/api/v1/webhooks/{}/activate", self.hooks[hook].id)).await
    }

    /// The plan is told; how many webhooks that deactivated.
    async fn set_plan(&self, plan: &str, version: i64) -> i64 {
        let request = SetPlanRequest { instance: String::new(), plan: plan.to_owned(), version };
        self.core.instances().set_plan(request).await.expect("an accepted plan").into_inner().deactivated_webhooks
    }

    async fn delete_project(&self, version: i64) -> i64 {
        let request = DeleteProjectRequest { instance: String::new(), project_id: 1, version };
        let answer = self.core.instances().delete_project(request).await.expect("an accepted deletion");
        answer.into_inner().deactivated_webhooks
    }

    async fn put_project(&self, project_id: i64, version: i64) {
        let (name, url) = (format!("Project {project_id}"), String::new());
        let request = PutProjectRequest { instance: String::new(), project_id, name, url, version };
        self.core.instances().put_project(request).await.expect("an accepted project");
    }

    async fn known_projects(&self) -> Vec<i64> {
        let list = self.rest.get("/api/v1/projects").await.expect(200);
        list.as_array().expect("a list").iter().filter_map(|project| project["id"].as_i64()).collect()
    }

    /// When the last request for a path came that `counts`.
    fn last(&self, path: &str, counts: impl Fn(&Value) -> bool) -> Option<Instant> {
        self.receiver.requests(path).iter().rev().find(|request| counts(&request.json())).map(|request| request.at)
    }

    /// Waits while events go on being published for `QUIET`.
    async fn events_go_on(&self) {
        let (start, count) = (Instant::now(), self.load.count());
        eventually(SOON, "events go on being published", async || {
            (start.elapsed() > ON_THE_WIRE + QUIET && self.load.count() > count + RUNNING).then_some(())
        })
        .await;
    }

    /// Until when the events were accepted that have been matched for certain: each has come to the failing endpoint. Of
    /// those accepted later, a change that follows may decide.
    async fn matched_until(&self) -> Instant {
        let so_far = self.load.so_far();
        let wanted = of_first(&so_far, |_| true);
        eventually(SOON, "what was published has arrived", async || {
            let requests = self.receiver.requests(PATHS[FAILING]);
            let came: BTreeSet<_> = requests.iter().map(|request| id(&request.json())).collect();
            wanted.is_subset(&came).then_some(())
        })
        .await;
        so_far.last().expect("an event").until
    }

    /// Ids of the events that a path got from a request on, none of them twice.
    fn delivered_from(&self, path: &str, from: usize) -> BTreeSet<String> {
        let requests = self.receiver.requests(path);
        let ids: Vec<_> = requests[from..].iter().map(|request| id(&request.json())).collect();
        let set: BTreeSet<_> = ids.iter().cloned().collect();
        assert_eq!(set.len(), ids.len(), "{path} got an event more than once");
        set
    }
}

fn id(payload: &Value) -> String {
    payload["id"].as_str().unwrap_or_else(|| panic!("no id in {payload}")).to_owned()
}

/// Ids of the events of project 1 that `counts`.
fn of_first(published: &[Published], counts: impl Fn(&Published) -> bool) -> BTreeSet<String> {
    published.iter().filter(|event| event.project == 1 && counts(event)).map(|event| event.id.clone()).collect()
}

async fn a_plan_without_webhooks_ends_all_deliveries(mode: Mode) {
    let world = World::start(mode).await;
    let mut before = Vec::new();
    for hook in 0..PATHS.len() {
        before.push(world.hook(hook).await);
    }
    assert_eq!(world.set_plan("business", 1).await, 0);
    let told = world.matched_until().await;
    assert_eq!(world.set_plan("free", 2).await, 4);
    let returned = Instant::now();
    world.events_go_on().await;
    for path in PATHS {
        let last = world.last(path, |_| true).expect("a request before the downgrade");
        assert!(last < returned + ON_THE_WIRE, "{path} got a request {:?} after the call", last - returned);
    }
    let held = downgraded(&world, &before).await;

    // The way back reactivates none; and neither do messages that come again or late.
    assert_eq!(world.set_plan("enterprise", 3).await, 0);
    for hook in 0..PATHS.len() {
        assert_eq!(world.hook(hook).await["inactive_reason"], "plan_downgraded");
    }
    world.receiver.script(PATHS[FAILING], 200);
    let counts = PATHS.map(|path| world.receiver.count(path));
    let activating = Instant::now();
    webhooks::act(&world.rest, world.hooks[FAILING].id, "activate").await;
    let activated = Instant::now();
    for (plan, version) in [("free", 2), ("free", 1), ("free", 3)] {
        assert_eq!(world.set_plan(plan, version).await, 0, "{plan} {version}");
    }
    world.receiver.wait_for(PATHS[FAILING], counts[FAILING] + held + RUNNING / 2, SOON).await;
    let now = world.hook(FAILING).await;
    assert_eq!((&now["active"], &now["inactive_reason"]), (&json!(true), &before[FAILING]["inactive_reason"]));
    one_alone_goes_on(world, counts, [told, returned, activating, activated]).await;
}

/// All webhooks are as they were but inactive, and cannot be activated; how many deliveries wait.
async fn downgraded(world: &World, before: &[Value]) -> usize {
    for (hook, before) in before.iter().enumerate() {
        let mut now = world.hook(hook).await;
        assert_eq!((&now["active"], &now["inactive_reason"]), (&json!(false), &json!("plan_downgraded")));
        for field in ["active", "inactive_reason", "updated_at", "version"] {
            if let Some(value) = before.get(field) {
                now[field] = value.clone();
            }
        }
        assert_eq!(&now, before, "nothing else changes");
        world.activate(hook).await.expect_error(403, Some("plan_required"), &[]);
    }
    let create = world.rest.post("/api/v1/webhooks", webhooks::generic(&world.receiver.url("/new"))).await;
    create.expect_error(403, Some("plan_required"), &[]);
    assert_eq!(world.set_plan("free", 2).await, 0, "a repeat finds nothing to deactivate");

    let entries = history::all(&world.rest, world.hooks[FAILING].id).await;
    let waiting = entries.iter().filter(|entry| entry.waits_for() == "webhook inactive").count();
    assert!(waiting > 0, "deliveries wait for the webhook");
    assert!(entries.iter().any(|entry| entry.response_code() == Some(500)), "its history stays");
    waiting
}

/// The webhook that was activated gets what waited and what is new, and nothing of the meantime; the others get nothing.
async fn one_alone_goes_on(world: World, counts: [usize; 4], times: [Instant; 4]) {
    let [told, returned, activating, activated] = times;
    let first_counts = [FIRST, BOTH, ALL].map(|hook| (PATHS[hook], counts[hook]));
    let World { product, rest, core, receiver, hooks, load } = world;
    let published = load.stop().await;
    let load = Load::start(product.publisher(), &[]);
    let world = World { product, rest, core, receiver, hooks, load };
    let expected = of_first(&published, |event| event.until <= told || event.from >= activated);
    eventually(SOON, "what waited and what is new has arrived", async || {
        expected.is_subset(&world.delivered_from(PATHS[FAILING], counts[FAILING])).then_some(())
    })
    .await;
    history::wait_until_settled(&world.rest, world.hooks[FAILING].id, SOON).await;
    let delivered = world.delivered_from(PATHS[FAILING], counts[FAILING]);
    let meantime = of_first(&published, |event| event.from >= returned && event.until + LAG <= activating);
    assert!(meantime.len() > RUNNING / 2, "events were published while it was inactive");
    assert_eq!(delivered.intersection(&meantime).count(), 0, "events of the meantime are not delivered");
    for (path, count) in first_counts {
        assert_eq!(world.receiver.count(path), count, "{path} gets nothing while inactive");
    }
}

async fn a_deleted_project_leaves_every_scope(mode: Mode) {
    let world = World::start(mode).await;
    world.put_project(1, 1).await;
    world.put_project(2, 1).await;
    assert_eq!(world.delete_project(3).await, 2);
    let returned = Instant::now();
    world.events_go_on().await;
    let of_project = |project: i64| move |payload: &Value| payload["project"]["id"] == project;
    for hook in [FIRST, BOTH, FAILING] {
        let last = world.last(PATHS[hook], of_project(1)).expect("a request before the deletion");
        assert!(last < returned + ON_THE_WIRE, "{} got one {:?} after the call", PATHS[hook], last - returned);
    }
    for hook in [BOTH, ALL] {
        let last = world.last(PATHS[hook], of_project(2)).expect("a request");
        assert!(last > returned + QUIET, "{} gets events of project 2 as before", PATHS[hook]);
    }
    // What comes again or late changes nothing.
    assert_eq!(world.delete_project(3).await, 0);
    assert_eq!(world.delete_project(2).await, 0);
    world.put_project(1, 2).await;
    assert_eq!(world.known_projects().await, [2]);
    for (hook, projects, reason) in [
        (FIRST, json!([]), Some("projects_deleted")),
        (BOTH, json!([2]), None),
        (ALL, json!(null), None),
        (FAILING, json!([]), Some("projects_deleted")),
    ] {
        let now = world.hook(hook).await;
        assert_eq!((&now["projects"], &now["active"]), (&projects, &json!(reason.is_none())), "{now}");
        assert_eq!(now["inactive_reason"].as_str().filter(|text| !text.is_empty()), reason, "{now}");
    }
    world.activate(FIRST).await.expect_error(409, Some("conflict"), &[]);
    a_new_scope_starts_it_again(&world).await;
    history_is_marked(world, returned).await;
}

async fn a_new_scope_starts_it_again(world: &World) {
    let count = world.receiver.count(PATHS[FIRST]);
    let path = format!("/api/v1/webhooks/{}", world.hooks[FIRST].id);
    let changed = world.rest.patch(&path, json!({"projects": [2]})).await.expect(200);
    assert_eq!(changed["active"], false, "{changed}");
    webhooks::act(&world.rest, world.hooks[FIRST].id, "activate").await;
    eventually(SOON, "events of project 2 arrive", async || {
        let requests = world.receiver.requests(PATHS[FIRST]);
        let of_second = requests[count..].iter().filter(|request| request.json()["project"]["id"] == 2);
        (of_second.count() > RUNNING / 2).then_some(())
    })
    .await;
}

/// Entries of the project that was deleted are marked as orphaned, and no others; its events since then have none.
async fn history_is_marked(world: World, deleted: Instant) {
    let World { rest, hooks, load, receiver, product: _product, .. } = world;
    let published = load.stop().await;
    let projects: BTreeMap<_, _> = published.iter().map(|event| (event.id.clone(), event.project)).collect();
    // Deliveries that waited when the project went may go on when their webhook is active again; no event of later may.
    let late = of_first(&published, |event| event.from >= deleted);
    assert!(late.len() > RUNNING, "events of the project were published after its deletion");
    for hook in [FIRST, BOTH, FAILING] {
        let requests = receiver.requests(PATHS[hook]);
        let mistaken = requests.iter().find(|request| late.contains(&id(&request.json())));
        assert!(mistaken.is_none(), "{} got {mistaken:?}", PATHS[hook]);
    }
    for hook in [FIRST, BOTH, ALL] {
        history::wait_until_settled(&rest, hooks[hook].id, SOON).await;
        let entries = history::all(&rest, hooks[hook].id).await;
        let mut seen = BTreeSet::new();
        for entry in entries {
            let project = projects[entry.event()];
            assert_eq!(entry.is_orphaned(), project == 1, "{}", entry.0);
            seen.insert(project);
        }
        assert_eq!(seen, BTreeSet::from([1, 2]), "{}", PATHS[hook]);
    }
}
