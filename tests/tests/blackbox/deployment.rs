//! docker-compose.yml and what belongs to it, as far as it can be checked where there is no Docker: that it agrees with
//! the programs. It is run for real by `tests/compose`.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace")
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The lines of each service of docker-compose.yml.
fn services() -> Vec<(String, String)> {
    let text = text("docker-compose.yml");
    let (_, services) = text.split_once("\nservices:\n").expect("services");
    let (services, _) = services.split_once("\nnetworks:\n").expect("networks");
    let mut found: Vec<(String, String)> = Vec::new();
    for line in services.lines() {
        let name = line.strip_prefix("  ").and_then(|line| line.strip_suffix(':')).filter(|name| !name.contains(' '));
        match (name, found.last_mut()) {
            (Some(name), _) => found.push((name.to_owned(), String::new())),
            (None, Some((_, lines))) => lines.extend([line, "\n"]),
            (None, None) => {}
        }
    }
    found
}

#[test]
fn every_variable_is_a_key() {
    let page = text("docs/configuration.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let keys: BTreeSet<&str> = rows.map(|(key, _)| key).collect();
    let compose = text("docker-compose.yml") + &text("deploy/observability.yml");
    let set = compose.lines().filter_map(|line| line.trim().strip_prefix("TESTMO_WEBHOOKS__")?.split_once(": "));
    let set: Vec<String> = set.map(|(name, _)| name.to_lowercase().replace("__", ".")).collect();
    assert!(set.len() > 10, "{set:?}");
    for key in set {
        assert!(keys.contains(key.as_str()), "docker-compose.yml sets {key}, which is no key of docs/configuration.md");
    }
}

#[test]
fn nothing_is_published_but_the_gateway_and_ingest() {
    let services = services();
    let names: BTreeSet<&str> = services.iter().map(|(name, _)| name.as_str()).collect();
    let all = ["cli", "dispatcher", "history", "ingest", "postgres", "rabbitmq", "setup", "subscription"];
    assert_eq!(names, BTreeSet::from(all));
    for (name, lines) in &services {
        let published = ["subscription", "ingest"].contains(&name.as_str());
        assert_eq!(lines.contains("    ports:"), published, "{name}");
        assert!(!published || lines.contains(":-127.0.0.1:"), "{name} is published to other machines");
        assert!(!lines.contains("privileged: true") && !lines.contains("docker.sock"), "{name}");
        let own = ["subscription", "ingest", "dispatcher", "history", "cli"].contains(&name.as_str());
        assert_eq!(lines.contains("    <<: *service"), own, "{name} is bounded like the others");
        assert!(lines.contains("/run/secrets:ro") || name == "setup", "{name} has its secrets");
    }
}

#[test]
fn every_image_can_be_built_of_what_is_there() {
    let dockerfile = text("deploy/Dockerfile");
    for (name, lines) in services() {
        let Some((_, target)) = lines.split_once("target: ") else { continue };
        let target = target.split([' ', '}']).next().expect("a name");
        assert_eq!(target, name);
        let (_, stage) = dockerfile.split_once(&format!("FROM scratch AS {target}\n")).expect("its stage");
        let stage = stage.split("\nFROM ").next().expect("a part");
        assert!(stage.contains("USER 10001:10001"), "{name} does not run as root");
    }
    for copied in [
        "Cargo.toml",
        "Cargo.lock",
        "crates",
        "proto",
        "tests/Cargo.toml",
        "tests/src",
        "tests/benches",
        "tests/fuzz/Cargo.toml",
        "tests/fuzz/src",
    ] {
        assert!(
            text(".dockerignore").lines().any(|line| line == format!("!{copied}")),
            "{copied} is not sent to Docker"
        );
        assert!(root().join(copied).exists(), "{copied}");
    }
}

fn set_up(secrets: &Path) -> String {
    let output = Command::new(root().join("deploy/setup")).arg(secrets).output().expect("deploy/setup runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn setup_makes_every_secret_once_and_all_that_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let read =
        |name: &str| fs::read_to_string(folder.path().join(name)).unwrap_or_else(|_| panic!("{name} is missing"));
    assert!(set_up(folder.path()).contains("made subscription/secrets.key"));
    assert_eq!(folder.path().metadata().expect("there").permissions().mode() & 0o777, 0o700);
    for (name, lines) in services() {
        for file in lines.split_whitespace().filter_map(|word| word.strip_prefix("/run/secrets/")) {
            let file = file.trim_end_matches([')', '\'']);
            assert!(read(&format!("{name}/{file}")).trim().len() >= 32, "{name}/{file}");
        }
    }
    for same in [
        ["postgres/history.password", "history/database.password"],
        ["postgres/subscription.password", "subscription/database.password"],
        ["subscription/services.token", "dispatcher/services.token"],
        ["subscription/admin.token", "operator/admin.token"],
        ["subscription/publisher.token", "operator/publisher.token"],
    ] {
        assert_eq!(read(same[0]), read(same[1]), "{same:?}");
    }
    let definitions: Value = serde_json::from_str(&read("rabbitmq/definitions.json")).expect("JSON");
    for user in definitions["users"].as_array().expect("users") {
        let name = user["name"].as_str().expect("a name");
        let password = read(&format!("{name}/broker.password"));
        assert!(fits(user["password_hash"].as_str().expect("a hash"), password.trim()), "{name}");
    }
    let before: Vec<_> =
        files(folder.path()).into_iter().map(|file| (fs::read(&file).expect("readable"), file)).collect();
    assert_eq!(set_up(folder.path()), "", "nothing is made twice");
    for (content, file) in before {
        assert_eq!(fs::read(&file).expect("still there"), content, "{}", file.display());
    }
}

/// Whether RabbitMQ takes a password for one that it has the hash of.
fn fits(hash: &str, password: &str) -> bool {
    use base64::Engine as _;
    use sha2::Digest as _;

    let bytes = base64::engine::general_purpose::STANDARD.decode(hash).expect("Base64");
    let (salt, digest) = bytes.split_at(4);
    sha2::Sha256::new().chain_update(salt).chain_update(password).finalize().as_slice() == digest
}

/// What follows a word in a text, up to the first character that is not of a name.
fn names<'a>(text: &'a str, before: &str) -> BTreeSet<&'a str> {
    let end =
        |rest: &str| rest.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(rest.len());
    text.match_indices(before).map(|(at, _)| &text[at..]).map(|rest| &rest[..end(rest)]).collect()
}

/// What the names of our metrics begin with.
const METRICS: [&str; 3] = ["webhooks.", "db.client.connection.count", "db.client.connection.max"];

/// Those that a text names, as Prometheus writes them.
fn named(text: &str) -> BTreeSet<String> {
    METRICS.iter().flat_map(|prefix| names(text, &prefix.replace('.', "_"))).map(plain).collect()
}

/// The metrics of the services, as Prometheus writes their names, without what it adds for their kind and unit.
fn metrics() -> BTreeSet<String> {
    let mut metrics = BTreeSet::new();
    for part in ["subscription", "ingest", "dispatcher", "history", "database/src/pools.rs", "runtime/src/health.rs"] {
        let path = root().join("crates").join(part);
        for file in if path.is_dir() { files(&path.join("src")) } else { vec![path] } {
            let source = fs::read_to_string(&file).unwrap_or_default();
            let names = source.split('"').filter(|quoted| METRICS.iter().any(|prefix| quoted.starts_with(prefix)));
            metrics.extend(names.map(|name| name.replace('.', "_")));
        }
    }
    metrics
}

fn plain(name: &str) -> String {
    let name = ["_total", "_bucket"].into_iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
    name.strip_suffix("_seconds").unwrap_or(name).to_owned()
}

#[test]
fn alerts_are_about_metrics_that_there_are() {
    let (used, metrics) = (named(&text("deploy/prometheus/alerts.yml")), metrics());
    assert!(used.len() > 5, "{used:?}");
    for name in used {
        assert!(metrics.contains(&name), "no service has the metric {name}");
    }
}

#[test]
fn the_dashboard_shows_every_metric_and_no_other() {
    let dashboard: Value = serde_json::from_str(&text("deploy/grafana/dashboards/testmo-webhooks.json")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().expect("queries"));
    let queries: Vec<&str> = targets.map(|target| target["expr"].as_str().expect("a query")).collect();
    assert_eq!(named(&queries.join("\n")), metrics());
}

#[test]
fn every_alert_is_in_the_runbook_and_has_its_test() {
    let (alerts, runbook) = (text("deploy/prometheus/alerts.yml"), text("docs/runbook.md"));
    let tests = text("deploy/prometheus/alerts_test.yml");
    let alerts: Vec<&str> = alerts.split("- alert: ").skip(1).collect();
    assert!(alerts.len() > 5, "{}", alerts.len());
    for alert in alerts {
        let name = alert.lines().next().expect("a name");
        assert!(runbook.contains(&format!("\n## {name}\n")), "{name} is not in docs/runbook.md");
        assert!(alert.contains(&format!("runbook_url: docs/runbook.md#{}\n", name.to_lowercase())), "{name}");
        assert!(tests.contains(&format!("alertname: {name} }}")), "{name} in normal running is not tested");
        assert!(tests.contains(&format!("alertname: {name}\n        exp_alerts:")), "{name} is not tested to fire");
    }
}

#[test]
fn every_metric_is_described_and_nothing_else_is() {
    let page = text("docs/metrics.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let described: BTreeSet<String> = rows.map(|(name, _)| plain(name)).collect();
    assert_eq!(described, metrics());
}

#[test]
fn the_dockerfile_has_no_known_faults() {
    let program = std::env::current_exe().expect("the path of this program");
    let target = program.ancestors().nth(3).expect("target/<profile>/deps");
    let output = Command::new(target.join("python/bin/hadolint"))
        .args(["--no-color", "deploy/Dockerfile"])
        .current_dir(root())
        .output()
        .expect("`tests/run --prepare` installs hadolint");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
