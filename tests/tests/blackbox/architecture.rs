//! The structure that `docs/architecture.md` promises: which crate may use which, and where heavy libraries may stand.

use std::{collections::BTreeSet, path::Path, process::Command};

use serde_json::Value;

/// The dependency table of `docs/architecture.md`: crate, and which of ours it may use.
const MAY_USE: [(&str, &[&str]); 14] = [
    ("domain", &[]),
    ("payload", &["domain", "proto"]),
    ("proto", &["domain"]),
    ("database", &[]),
    ("broker", &["domain", "proto", "database"]),
    ("runtime", &["domain", "proto"]),
    ("gateway", &["domain", "proto"]),
    ("subscription", &["domain", "payload", "proto", "broker", "runtime", "database", "gateway"]),
    ("ingest", &["domain", "payload", "proto", "broker", "runtime"]),
    ("dispatcher", &["domain", "payload", "proto", "broker", "runtime"]),
    ("history", &["domain", "payload", "proto", "broker", "runtime", "database"]),
    (
        "cli",
        &[
            "domain",
            "payload",
            "proto",
            "broker",
            "runtime",
            "gateway",
            "subscription",
            "ingest",
            "dispatcher",
            "history",
        ],
    ),
    ("blackbox", &["cli", "proto"]),
    (
        "fuzz",
        &["domain", "payload", "proto", "runtime", "gateway", "subscription", "ingest", "dispatcher", "history", "cli"],
    ),
];

/// Libraries that only these crates may use.
const ONLY_IN: [(&str, &[&str]); 5] = [
    ("sqlx", &["subscription", "history", "broker", "database"]),
    ("lapin", &["broker"]),
    ("axum", &["gateway", "runtime"]),
    ("hyper-rustls", &["dispatcher"]),
    ("reqwest", &["cli"]),
];

/// What `domain` must not need: it does no I/O and is not async.
const NOT_IN_DOMAIN: [&str; 5] = ["tokio", "futures", "async-trait", "tonic", "tracing"];

/// The crates of the workspace, each with what it depends on (tests' needs left out).
fn crates() -> Vec<(String, BTreeSet<String>)> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version=1", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("metadata is JSON");
    let dependencies = |package: &Value| {
        let all = package["dependencies"].as_array().expect("a list").iter();
        let needed = all.filter(|dependency| dependency["kind"].is_null());
        needed.map(|dependency| dependency["name"].as_str().expect("a name").to_owned()).collect()
    };
    let packages = metadata["packages"].as_array().expect("a list").iter();
    packages.map(|package| (package["name"].as_str().expect("a name").to_owned(), dependencies(package))).collect()
}

#[test]
fn crates_use_what_they_may() {
    let crates = crates();
    let names: BTreeSet<&str> = crates.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, MAY_USE.iter().map(|(name, _)| *name).collect(), "the table names every crate");
    for (name, dependencies) in &crates {
        let (_, may) = MAY_USE.iter().find(|(known, _)| known == name).expect("it is in the table");
        for dependency in dependencies.iter().filter(|dependency| names.contains(dependency.as_str())) {
            assert!(may.contains(&dependency.as_str()), "{name} must not use {dependency}");
        }
        for (library, only) in ONLY_IN {
            let allowed = only.contains(&name.as_str());
            assert!(allowed || !dependencies.contains(library), "{library} must not stand in {name}, only in {only:?}");
        }
    }
    let (_, domain) = crates.iter().find(|(name, _)| name == "domain").expect("domain is there");
    for library in NOT_IN_DOMAIN {
        assert!(!domain.contains(library), "domain does no I/O and is not async: no {library}");
    }
}

/// What makes a row into a struct may stand beside the struct; what talks to a database may not.
#[test]
fn queries_stand_in_stores_alone() {
    for file in rust_files() {
        let text = std::fs::read_to_string(&file).expect("readable").replace("sqlx::FromRow", "");
        let path = file.to_string_lossy();
        let places = ["/store/", "crates/database/src/", "broker/src/embedded/", "/tests/", "/benches/"];
        let place = places.iter().any(|place| path.contains(place));
        assert!(place || !text.contains("sqlx::"), "{path} uses sqlx outside a store");
    }
}

#[test]
fn files_stay_short_and_say_what_they_are_for() {
    for file in rust_files() {
        let text = std::fs::read_to_string(&file).expect("readable");
        let lines = text.lines().count();
        assert!(lines <= 400, "{} has {lines} lines; 400 are the most", file.display());
        assert!(text.starts_with("//!"), "{} must start with what it is for (//!)", file.display());
    }
}

#[test]
fn the_architecture_page_names_every_crate_and_real_files() {
    let root = root();
    let page = std::fs::read_to_string(root.join("docs/architecture.md")).expect("the page is there");
    for (name, _) in MAY_USE.iter().filter(|(name, _)| !["blackbox", "fuzz"].contains(name)) {
        assert!(page.contains(&format!("| `{name}` |")), "docs/architecture.md does not name the crate {name}");
    }
    for quoted in
        page.split('`').skip(1).step_by(2).filter(|text| text.starts_with("crates/") || text.starts_with("tests/"))
    {
        assert!(root.join(quoted).exists(), "docs/architecture.md names {quoted}, which is not there");
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace")
}

fn rust_files() -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![root().join("crates"), root().join("tests")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("readable") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    assert!(files.len() > 50, "the source is there");
    files
}
