//! `apply`: webhooks as code.

mod gate;

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, process::Command, time::Duration};

use blackbox::{
    events, in_both_modes,
    process::Process,
    product::{Mode, Product},
    receiver::Receiver,
    rest::Rest,
    run, servers, webhooks,
};
use serde_json::{Value, json};

use crate::command_line::{program, told};
use gate::Gate;

in_both_modes!(
    a_file_is_applied_once_and_again,
    what_is_not_in_the_file_stays_unless_pruned,
    every_mistake_has_its_line_and_changes_nothing,
    a_project_administrator_applies_to_what_it_sees,
    somebody_elses_change_is_not_overwritten,
    an_interruption_loses_no_secret,
    secrets_go_to_a_file_of_their_own,
);

const SOON: Duration = Duration::from_secs(20);
const WEBHOOKS: &str = "/api/v1/webhooks";

/// Somebody who runs `apply` in a folder, with a token, against a server.
struct Operator {
    folder: PathBuf,
    server: String,
}

/// Status and what was written.
struct Outcome {
    status: Option<i32>,
    out: String,
    err: String,
}

impl Operator {
    fn new(product: &Product, token: &str) -> Self {
        let folder = run::folder("apply");
        fs::write(folder.join("token"), token).expect("a file in a new folder");
        Self { folder, server: product.admin().address().to_string() }
    }

    fn command(&self, file: &str, arguments: &[&str]) -> Command {
        fs::write(self.folder.join("hooks.yaml"), file).expect("a file in the folder");
        let mut command = program(&self.folder);
        command.args(["apply", "-f", "hooks.yaml", "--token-file", "token", "--server", &self.server]).args(arguments);
        command.env("CI_TOKEN", "hunter2-token").env("CI_PATH", "hunter2-path");
        command
    }

    async fn apply(&self, file: &str, arguments: &[&str]) -> Outcome {
        let (status, out, err) = told(self.command(file, arguments)).await;
        assert!(!out.contains("hunter2") && !err.contains("hunter2"), "a secret is shown:\n{out}\n{err}");
        Outcome { status, out, err }
    }

    /// A run that does what it should, and says nothing of errors.
    async fn applied(&self, file: &str, arguments: &[&str]) -> String {
        let Outcome { status, out, err } = self.apply(file, arguments).await;
        assert_eq!((status, err.as_str()), (Some(0), ""), "{out}");
        out
    }
}

impl Outcome {
    /// The lines of standard error of a run that failed.
    #[track_caller]
    fn errors(&self) -> Vec<&str> {
        assert_eq!(self.status, Some(1), "{}{}", self.out, self.err);
        self.err.lines().collect()
    }
}

/// The webhooks that there are, by name: id, version.
async fn listed(rest: &Rest) -> Vec<(String, i64, i64)> {
    let list = rest.get(WEBHOOKS).await.expect(200);
    let number =
        |webhook: &Value, field: &str| webhook[field].as_i64().unwrap_or_else(|| panic!("no {field}: {webhook}"));
    let one = |webhook: &Value| {
        let name = webhook["name"].as_str().expect("a name").to_owned();
        (name, number(webhook, "id"), number(webhook, "version"))
    };
    let mut all: Vec<_> = list.as_array().expect("a list").iter().map(one).collect();
    all.sort();
    all
}

fn names(listed: &[(String, i64, i64)]) -> Vec<&str> {
    listed.iter().map(|(name, _, _)| name.as_str()).collect()
}

fn lines_with<'a>(text: &'a str, part: &str) -> Vec<&'a str> {
    text.lines().filter(|line| line.contains(part)).collect()
}

/// A file of webhooks for `run.completed` of all projects, with these names.
fn file_of(url: &str, names: &[&str]) -> String {
    let webhook =
        |name: &&str| format!("- {{name: {name}, url: '{url}', events: [run.completed], allow_insecure: true}}\n");
    format!("webhooks:\n{}", names.iter().map(webhook).collect::<String>())
}

async fn a_file_is_applied_once_and_again(mode: Mode) {
    let (product, receiver) = (Product::start(mode).await, Receiver::start().await);
    let (rest, operator) = (product.admin(), Operator::new(&product, product.admin_token()));
    let url = receiver.url("/in");
    let first = format!(
        "webhooks:\n- name: CI\n  url: {url}?key=hunter2\n  events: [run.completed, 'case.*']\n  allow_insecure: true\n  \
         headers: {{X-Token: {{env: CI_TOKEN}}}}\n- name: chat\n  url: {}\n  allow_insecure: true\n  events: ['*']\n  \
         projects: [2, 1]\n  filter: [data.result == failed]\n  active: false\n",
        receiver.url("/chat")
    );

    let dry = operator.apply(&first, &["--dry-run", "--exit-code"]).await;
    assert_eq!((dry.status, dry.err.as_str()), (Some(2), ""), "{}", dry.out);
    assert!(dry.out.contains("2 to create, 0 to change, 0 to delete, 0 unchanged"), "{}", dry.out);
    assert!(listed(&rest).await.is_empty(), "a dry run makes nothing");

    let out = operator.applied(&first, &[]).await;
    assert!(out.contains("+ create \"CI\"\n") && out.contains(&format!("url: \"{url}?key=…\"")), "{out}");
    let secrets = lines_with(&out, "whsec_");
    assert_eq!(secrets.len(), 2, "{out}");
    let before = listed(&rest).await;
    assert_eq!(names(&before), ["CI", "chat"]);

    let again = operator.applied(&first, &[]).await;
    assert!(again.contains("nothing to do, 2 unchanged") && !again.contains("whsec_"), "{again}");
    assert_eq!(listed(&rest).await, before, "nothing has another version");
    assert_eq!(operator.apply(&first, &["--dry-run", "--exit-code", "--prune"]).await.status, Some(0));

    // Of two one changes, in what can be read and in what cannot.
    let second = first.replace("run.completed, 'case.*'", "run.completed, run.created").replace("CI_TOKEN", "CI_PATH");
    let dry = operator.applied(&second, &["--dry-run"]).await;
    assert!(dry.contains("0 to create, 1 to change, 0 to delete, 1 unchanged"), "{dry}");
    assert_eq!(listed(&rest).await, before, "a dry run changes nothing");
    let out = operator.applied(&second, &[]).await;
    let id = before[0].1;
    assert!(out.contains(&format!("~ update \"CI\" ({id})\n")) && out.contains("headers: values changed\n"), "{out}");
    assert!(out.contains("events: + \"run.created\", - \"case.*\"\n") && !out.contains("whsec_"), "{out}");
    let after = listed(&rest).await;
    assert!(after[0].2 > before[0].2 && after[1] == before[1], "{before:?} {after:?}");

    product.publisher().publish(events::run_completed(1, 1)).await.expect("an accepted event");
    let request = receiver.wait_for("/in", 1, SOON).await.remove(0);
    assert_eq!(request.expect_header("x-token"), "hunter2-path", "the header has the variable's text");
    // What the file no longer says goes back to its default.
    let plain = file_of(&format!("{url}?key=hunter2"), &["CI"]);
    let out = operator.applied(&plain, &[]).await;
    assert!(out.contains("headers: \"x-token\" → none\n") && out.contains("events: - \"run.created\"\n"), "{out}");
    let webhook = rest.get(&format!("{WEBHOOKS}/{id}")).await.expect(200);
    assert_eq!((&webhook["headers"], &webhook["events"]), (&json!({}), &json!(["run.completed"])));
}

async fn what_is_not_in_the_file_stays_unless_pruned(mode: Mode) {
    let (product, receiver) = (Product::start(mode).await, Receiver::start().await);
    let (rest, operator) = (product.admin(), Operator::new(&product, product.admin_token()));
    let url = receiver.url("/in");
    let other = webhooks::create_generic(&rest, &url).await.id;
    let out = operator.applied(&file_of(&url, &["a", "b"]), &[]).await;
    assert!(out.contains(&format!("= kept \"test\" ({other}), which is not in the file")), "{out}");
    assert_eq!(names(&listed(&rest).await), ["a", "b", "test"]);

    let file = file_of(&url, &["a", "c"]);
    let dry = operator.applied(&file, &["--dry-run", "--prune"]).await;
    assert!(dry.contains("1 to create, 0 to change, 2 to delete, 1 unchanged"), "{dry}");
    assert_eq!(names(&listed(&rest).await), ["a", "b", "test"]);
    let out = operator.applied(&file, &["--prune"]).await;
    assert_eq!(names(&listed(&rest).await), ["a", "c"]);
    assert!(out.find("created \"c\"") < out.find("done: delete"), "deletes come last:\n{out}");

    let empty = operator.apply("# nothing\n", &["--prune"]).await;
    assert!(empty.errors()[0].starts_with("hooks.yaml:1: the file is empty"), "{}", empty.err);
    assert_eq!(names(&listed(&rest).await), ["a", "c"], "an empty file is a mistake");
    operator.applied("webhooks: []", &[]).await;
    assert_eq!(names(&listed(&rest).await), ["a", "c"]);
    operator.applied("webhooks: []", &["--prune"]).await;
    assert!(listed(&rest).await.is_empty());
}

async fn every_mistake_has_its_line_and_changes_nothing(mode: Mode) {
    let (product, receiver) = (Product::start(mode).await, Receiver::start().await);
    let (rest, operator) = (product.admin(), Operator::new(&product, product.admin_token()));
    let good = format!("- {{name: good, url: '{}', events: ['*'], allow_insecure: true}}\n", receiver.url("/in"));
    let local = format!(
        "webhooks:\n{good}- name: good\n  ulr: x\n  events: run.created\n  active: yes\n- headers:\n    A: {{env: NONE}}\n"
    );
    let refused = operator.apply(&local, &["--prune"]).await;
    let expected = [
        "3: url: is missing",
        "3: name: is that of the webhook in line 2",
        "4: `ulr` is no member here; did you mean `url`?",
        "5: events: must be a list",
        "6: active: must be true or false",
        "7: name: is missing",
        "7: url: is missing",
        "7: events: is missing",
        "8: headers: the environment variable NONE is not set",
    ];
    let errors = refused.errors();
    assert_eq!(errors.len(), expected.len() + 1, "{}", refused.err);
    for (error, expected) in errors.iter().zip(expected) {
        assert!(error.starts_with(&format!("hooks.yaml:{expected}")), "{error} is not {expected}");
    }
    assert_eq!(errors.last(), Some(&"error: 9 mistakes; nothing was changed"));

    // What only the server knows.
    let url = receiver.url("/in");
    let remote = format!(
        "webhooks:\n{good}- name: one\n  events:\n  - run.created\n  - run.exploded\n  url: {url}\n  allow_insecure: true\n\
         - name: two\n  events: ['*']\n  url: https://10.0.0.1/hunter2\n- url: {url}\n  name: three\n  \
         allow_insecure: true\n  events: ['*']\n  headers:\n    X-A: hunter2\n    Host: hunter2\n  \
         filter:\n  - data.result == failed\n  - nonsense\n"
    );
    let refused = operator.apply(&remote, &[]).await;
    let errors = refused.errors();
    for (error, (line, field)) in errors.iter().zip([(6, "events"), (11, "url"), (18, "headers"), (21, "filter")]) {
        assert!(error.starts_with(&format!("hooks.yaml:{line}: {field}: ")), "line {line}, {field}:\n{}", refused.err);
    }
    assert_eq!(errors[4..], ["error: 4 mistakes; nothing was changed"], "{}", refused.err);
    assert!(listed(&rest).await.is_empty(), "not even the good one was made");

    let first = webhooks::create_generic(&rest, &receiver.url("/in")).await.id;
    let second = webhooks::create_generic(&rest, &receiver.url("/in")).await.id;
    let refused = operator.apply(&file_of(&receiver.url("/in"), &["new", "test"]), &[]).await;
    let expected = format!("hooks.yaml:3: name: the webhooks {first} and {second} on the server");
    assert!(refused.errors()[0].starts_with(&expected), "{}", refused.err);
    assert_eq!(names(&listed(&rest).await), ["test", "test"]);
}

async fn a_project_administrator_applies_to_what_it_sees(mode: Mode) {
    let (product, receiver) = (Product::start(mode).await, Receiver::start().await);
    let rest = product.admin();
    let body = json!({"name": "p1", "role": "project_admin", "projects": [1]});
    let token = rest.post("/api/v1/tokens", body).await.expect(201)["token"].as_str().expect("a token").to_owned();
    let operator = Operator::new(&product, &token);
    let url = receiver.url("/in");
    webhooks::create_generic(&rest, &url).await;

    let own = file_of(&url, &["test"]).replace("events:", "projects: [1], events:");
    operator.applied(&own, &["--prune"]).await;
    assert_eq!(names(&listed(&rest).await), ["test", "test"], "those that it does not see have other names");
    assert!(operator.applied(&own, &[]).await.contains("nothing to do, 1 unchanged"));

    let all = operator.apply(&file_of(&url, &["everything"]), &[]).await;
    assert!(all.errors()[0].starts_with("hooks.yaml:2: "), "{}", all.err);
    operator.applied("webhooks: []", &["--prune"]).await;
    assert_eq!(names(&listed(&rest).await), ["test"], "the other's stays");
    let stranger = Operator::new(&product, "tmwh_0000000000000000000000000000000000000000").apply(&own, &[]).await;
    assert!(stranger.errors()[0].contains("401"), "{}", stranger.err);
}

async fn somebody_elses_change_is_not_overwritten(mode: Mode) {
    let (product, receiver) = (Product::start(mode).await, Receiver::start().await);
    let (rest, mut operator) = (product.admin(), Operator::new(&product, product.admin_token()));
    let url = receiver.url("/in");
    operator.applied(&file_of(&url, &["a", "b", "c"]), &[]).await;
    let gate = Gate::before(rest.address(), "PATCH", WEBHOOKS).await;
    operator.server = gate.address.to_string();
    let file = file_of(&receiver.url("/new"), &["a", "b", "d"]);
    let change = async {
        gate.reached().await;
        let id = listed(&rest).await[0].1;
        webhooks::act(&rest, id, "deactivate").await;
        gate.open();
    };
    let (outcome, ()) = tokio::join!(operator.apply(&file, &["--prune"]), change);
    let errors = outcome.errors();
    assert!(errors[0].starts_with("error: update \"a\" (") && errors[0].contains("run apply again"), "{}", outcome.err);
    assert!(errors[1].starts_with("error: delete \"c\" (") && errors[1].contains("not done"), "{}", outcome.err);
    assert_eq!(errors[2..], ["error: 2 of 4 steps failed; run apply again"]);
    assert_eq!(names(&listed(&rest).await), ["a", "b", "c", "d"]);
    let webhook = |index: usize| {
        let rest = rest.clone();
        async move { rest.get(&format!("{WEBHOOKS}/{}", listed(&rest).await[index].1)).await.expect(200) }
    };
    let first = webhook(0).await;
    assert_eq!((&first["url"], &first["active"]), (&json!(url), &json!(false)), "the other change stands alone");
    assert_eq!(webhook(1).await["url"], json!(receiver.url("/new")), "the others were done");
    operator.applied(&file, &["--prune"]).await;
    assert_eq!(names(&listed(&rest).await), ["a", "b", "d"]);
}

async fn an_interruption_loses_no_secret(mode: Mode) {
    let (product, receiver) = (Product::start(mode).await, Receiver::start().await);
    let (rest, mut operator) = (product.admin(), Operator::new(&product, product.admin_token()));
    let gate = Gate::before(rest.address(), "POST", WEBHOOKS).await;
    operator.server = gate.address.to_string();
    let mut command = operator.command(&file_of(&receiver.url("/in"), &["a", "b"]), &[]);
    let mut process = Process::start("apply", &mut command, &operator.folder, "KILL");
    gate.reached().await;
    process.signal("INT");
    gate.open();
    let (status, said) = servers::blocking(move || (process.wait(SOON), process.output())).await;
    assert_eq!(status.and_then(|status| status.code()), Some(1), "{said}");
    assert_eq!(lines_with(&said, "whsec_").len(), 1, "{said}");
    assert!(said.contains("error: create \"b\": not done, because it was interrupted"), "{said}");
    assert_eq!(names(&listed(&rest).await), ["a"]);
}

async fn secrets_go_to_a_file_of_their_own(mode: Mode) {
    let (product, receiver) = (Product::start(mode).await, Receiver::start().await);
    let (rest, operator) = (product.admin(), Operator::new(&product, product.admin_token()));
    let file = file_of(&receiver.url("/in"), &["a", "b"]);
    let input = operator.folder.join("in.yaml");
    fs::write(&input, &file).expect("a file in the folder");
    let mut command = program(&operator.folder);
    command.args(["apply", "-f", "-", "--token-file", "token", "--secrets-file", "secrets.json"]);
    command.args(["--server", &operator.server]).stdin(fs::File::open(&input).expect("the file"));
    let (status, out, err) = told(command).await;
    assert_eq!((status, err.as_str()), (Some(0), ""), "{out}");
    assert!(!out.contains("whsec_"), "{out}");
    let path = operator.folder.join("secrets.json");
    assert_eq!(fs::metadata(&path).expect("the file").permissions().mode() & 0o777, 0o600);
    let text = fs::read(&path).expect("the file");
    let secrets: Value = serde_json::from_slice(&text).expect("JSON");
    for name in ["a", "b"] {
        assert!(secrets[name].as_str().is_some_and(|secret| secret.starts_with("whsec_")), "no secret of {name}");
    }

    operator.applied(&file, &["--secrets-file", "secrets.json"]).await;
    let refused =
        operator.apply(&file_of(&receiver.url("/in"), &["a", "new"]), &["--secrets-file", "secrets.json"]).await;
    assert!(refused.errors()[0].contains("cannot make secrets.json"), "{}", refused.err);
    assert_eq!(names(&listed(&rest).await), ["a", "b"], "a secret that could not be saved is not made");
    assert_eq!(fs::read(&path).expect("the file"), text);
}
