//! A new key for the signing secrets of 1,000 webhooks, while events are delivered all the time.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use blackbox::{
    events, in_both_modes,
    load::{Load, Published},
    product::{Mode, Product},
    receiver::Receiver,
    rest::Rest,
    signature, webhooks,
};
use futures::{StreamExt as _, stream};
use serde_json::json;

use crate::command_line::told;

in_both_modes!(no_delivery_fails_while_keys_change);

const SOON: Duration = Duration::from_secs(30);
/// So many webhooks are made at once.
const TOGETHER: usize = 8;
const WEBHOOKS: usize = 1_000;
/// The projects of the events that are published all the time, each with two webhooks.
const BUSY: [i64; 10] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
/// The project of all other webhooks.
const REST: i64 = 1_000;
const OTHERS: usize = WEBHOOKS - 2 * BUSY.len();

/// A webhook, and what it must get.
#[derive(Clone, Debug)]
struct Hook {
    id: i64,
    project: i64,
    path: String,
    secret: String,
    /// When it was there.
    since: Instant,
}

struct World {
    product: Product,
    rest: Rest,
    receiver: Receiver,
    hooks: Vec<Hook>,
    /// Every key that was in use so far, oldest first.
    keys: Vec<String>,
}

impl World {
    async fn start(mode: Mode) -> Self {
        let product = Product::start(mode).await;
        let (rest, receiver) = (product.admin(), Receiver::start().await);
        let projects = BUSY.iter().chain(&BUSY).copied().chain(std::iter::repeat_n(REST, OTHERS));
        let make = projects.enumerate().map(|(number, project)| make(&rest, &receiver, number, project));
        let hooks: Vec<_> = stream::iter(make).buffer_unordered(TOGETHER).collect().await;
        assert_eq!(hooks.len(), WEBHOOKS);
        let keys = vec![key(&product.key_file())];
        Self { product, rest, receiver, hooks, keys }
    }

    /// Rotates the key, and makes a webhook after the other meanwhile.
    async fn rotate(&mut self) {
        let command = self.product.command(&["secrets", "rotate-key"]);
        let ended = Cell::new(false);
        let rotate = async {
            let told = told(command).await;
            ended.set(true);
            told
        };
        let making = async {
            let mut made = Vec::new();
            while !ended.get() {
                let number = self.hooks.len() + made.len();
                made.push(make(&self.rest, &self.receiver, number, busy(number)).await);
            }
            made
        };
        let ((status, out, err), made) = futures::join!(rotate, making);
        assert_eq!(status, Some(0), "{out}{err}");
        assert!(!made.is_empty(), "no webhook was made while the key changed");
        let last = out.lines().last().unwrap_or_default();
        assert!(last.starts_with("done: ") && last.ends_with(" 0 not readable"), "{out}{err}");
        self.hooks.extend(made);
        self.check_files(&format!("{out}{err}"));
    }

    /// The key file holds a new key alone, the one before is kept, and neither was told.
    fn check_files(&mut self, told: &str) {
        let file = self.product.key_file();
        let old = self.keys.last().expect("a first key");
        let new = key(&file);
        assert!(!self.keys.contains(&new), "the key is not a new one");
        let kept = kept(&file);
        assert_eq!(kept.len(), self.keys.len(), "{kept:?}");
        assert!(kept.iter().any(|path| key(path) == *old), "the old key is kept");
        for path in kept.iter().chain([&file]) {
            let mode = fs::metadata(path).expect("a file").permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{} may be read by others", path.display());
        }
        self.keys.push(new);
        assert!(self.keys.iter().all(|key| !told.contains(key.as_str())), "a key is printed");
    }

    /// Every webhook gets the events of its project that were published since it was there, each once, and signed.
    async fn check_deliveries(&self, published: &[Published]) {
        for hook in self.hooks.iter().filter(|hook| hook.project != REST) {
            let of_project = published.iter().filter(|event| event.project == hook.project);
            let (sure, maybe): (Vec<_>, Vec<_>) = of_project.partition(|event| event.from >= hook.since);
            self.receiver.wait_for(&hook.path, sure.len(), SOON).await;
            let maybe: BTreeSet<_> = maybe.iter().map(|event| event.id.as_str()).collect();
            let mut got = BTreeMap::<String, usize>::new();
            for request in self.receiver.requests(&hook.path) {
                signature::verify(&request, &hook.secret);
                let id = request.json()["id"].as_str().expect("the event's id").to_owned();
                *got.entry(id).or_default() += 1;
            }
            got.retain(|id, count| *count > 1 || !maybe.contains(id.as_str()));
            let wanted: BTreeMap<_, _> = sure.iter().map(|event| (event.id.clone(), 1)).collect();
            assert_eq!(got, wanted, "events at {}, and how often", hook.path);
        }
        let failed = self.rest.get("/api/v1/webhooks/deliveries?status=failed&per_page=15").await.expect(200);
        assert_eq!(failed, json!([]), "nothing fails");
    }

    /// Each of the many webhooks signs an event of theirs with the secret that was shown.
    async fn check_others(&mut self) {
        let others = || self.hooks.iter().filter(|hook| hook.project == REST);
        let before: BTreeMap<_, _> = others().map(|hook| (hook.id, self.receiver.count(&hook.path))).collect();
        assert_eq!(before.len(), OTHERS);
        self.product.publisher().publish(events::run_completed(REST, 1)).await.expect("an accepted event");
        for hook in others() {
            let requests = self.receiver.wait_for(&hook.path, before[&hook.id] + 1, SOON).await;
            assert_eq!(requests.len(), before[&hook.id] + 1, "requests for {}", hook.path);
            signature::verify(&requests[requests.len() - 1], &hook.secret);
        }
    }

    /// A secret made anew is sealed with the key of now.
    async fn regenerate(&mut self, number: usize) {
        let hook = self.hooks.iter_mut().filter(|hook| hook.project == REST).nth(number).expect("one of many");
        let answer = self.rest.post(&format!("/api/v1/webhooks/{}/secret", hook.id), json!({})).await.expect(200);
        let secret = answer["secret"].as_str().unwrap_or_else(|| panic!("no secret in {answer}"));
        assert_ne!(hook.secret, secret);
        secret.clone_into(&mut hook.secret);
    }
}

async fn make(rest: &Rest, receiver: &Receiver, number: usize, project: i64) -> Hook {
    let path = format!("/{number}");
    let mut body = webhooks::generic(&receiver.url(&path));
    body["projects"] = json!([project]);
    let webhooks::Webhook { id, secret } = webhooks::create(rest, body).await;
    Hook { id, project, path, secret, since: Instant::now() }
}

fn busy(number: usize) -> i64 {
    BUSY[number % BUSY.len()]
}

/// The only key in a file.
fn key(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let keys: Vec<_> = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    assert_eq!(keys.len(), 1, "keys in {}", path.display());
    keys[0].to_owned()
}

/// The files of old keys.
fn kept(file: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(file.parent().expect("a folder")).expect("the folder of the key file");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.to_string_lossy().contains("secrets.key.old-")).collect()
}

async fn no_delivery_fails_while_keys_change(mode: Mode) {
    let mut world = World::start(mode).await;
    let load = Load::start(world.product.publisher(), &BUSY);
    for path in ["/0", "/19"] {
        world.receiver.wait_for(path, 2, SOON).await;
    }
    for number in 0..2 {
        let count = load.count();
        world.rotate().await;
        assert!(load.count() > count, "events are published while the key changes");
        world.regenerate(number).await;
    }
    let published = load.stop().await;
    world.check_deliveries(&published).await;
    world.check_others().await;

    for service in mode.services() {
        world.product.stop(*service).await;
    }
    world.product.start_all().await;
    world.check_others().await;
    world.check_deliveries(&published).await;
    the_old_key_alone_is_refused(&mut world).await;
    world.check_others().await;
}

async fn the_old_key_alone_is_refused(world: &mut World) {
    let (file, keeper) = (world.product.key_file(), world.product.keeper());
    world.product.stop(keeper).await;
    let new = fs::read(&file).expect("the new key");
    let old = kept(&file).into_iter().find(|path| key(path) == world.keys[0]).expect("the first key's file");
    fs::copy(old, &file).expect("the old key in its place");
    let (status, output) = world.product.refuses(keeper, SOON).await;
    assert!(status.code().is_some_and(|code| code != 0), "{status}\n{output}");
    let told = output.lines().last().unwrap_or_default();
    for part in ["secrets.key_file holds key ", "need key ", "a rotation keeps old keys beside the key file"] {
        assert!(told.contains(part), "`{part}` is not told: {told}");
    }
    assert!(world.keys.iter().all(|key| !output.contains(key.as_str())), "a key is printed");
    fs::write(&file, new).expect("the new key in its place again");
    world.product.resume(keeper).await;
}
