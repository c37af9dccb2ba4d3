//! Other people's tools understand what we publish: Python's gRPC compiles the schema and publishes with it, and the
//! library of Standard Webhooks verifies a delivery.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use blackbox::{
    in_both_modes,
    product::{Mode, Product},
    receiver::Receiver,
    run, servers, webhooks,
};
use serde_json::json;

in_both_modes!(python_publishes_and_verifies);

async fn python_publishes_and_verifies(mode: Mode) {
    let product = Product::start(mode).await;
    let receiver = Receiver::start().await;
    let mut body = webhooks::generic(&receiver.url("/in"));
    body["events"] = json!(["run.completed", "milestone.due_date_changed", "user.mentioned"]);
    let hook = webhooks::create(&product.admin(), body).await;

    let folder = run::folder("python");
    let address = product.publish_address();
    let address = address.strip_prefix("http://").expect("an address in plain text").to_owned();
    let token = product.publisher_token().to_owned();
    let published = run_script(&folder, "publish.py", vec![proto_folder().display().to_string(), address, token]).await;
    let ids: Vec<_> = published.lines().collect();
    assert_eq!(ids.len(), 3, "one id for each event:\n{published}");

    let requests = receiver.wait_for("/in", 3, Duration::from_secs(20)).await;
    let mut arrived: Vec<_> = requests.iter().map(|request| request.json()["id"].as_str().map(str::to_owned)).collect();
    let mut expected: Vec<_> = ids.iter().map(|id| Some((*id).to_owned())).collect();
    arrived.sort();
    expected.sort();
    assert_eq!(arrived, expected);
    let deliveries: Vec<_> = requests
        .iter()
        .map(|request| json!({"headers": request.headers, "body": BASE64_STANDARD.encode(&request.body)}))
        .collect();
    let file = folder.join("deliveries.json");
    fs::write(&file, json!({"secret": hook.secret, "deliveries": deliveries}).to_string()).expect("a new file");
    let verified = run_script(&folder, "verify.py", vec![file.display().to_string()]).await;
    assert_eq!(verified.trim(), "3 verified");
}

/// Runs a script of `tests/python`; what it prints.
async fn run_script(folder: &Path, script: &str, arguments: Vec<String>) -> String {
    let mut command = python(folder);
    command.arg(scripts_folder().join(script)).args(arguments);
    output(command, script).await
}

/// Python in `folder`, without its arguments yet.
pub(super) fn python(folder: &Path) -> Command {
    let mut command = Command::new(interpreter());
    command.current_dir(folder).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// What a program prints; panics with all of it if it fails.
pub(super) async fn output(mut command: Command, what: &str) -> String {
    let output = servers::blocking(move || command.output()).await.expect("Python starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{what}: {}\n{}{}", output.status, text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// The Python that `tests/run` has put under `target`, with the libraries of `requirements.txt`.
fn interpreter() -> PathBuf {
    let tests = std::env::current_exe().expect("the path of this program");
    let target = tests.ancestors().nth(3).expect("a test program is in target/<profile>/deps");
    let python = target.join("python/bin/python");
    assert!(python.is_file(), "{} is missing; make it with: tests/run --prepare", python.display());
    python
}

/// Where the scripts and settings for Python's programs are.
pub(super) fn scripts_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("python")
}

fn proto_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto")
}
