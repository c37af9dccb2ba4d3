//! `testmo-webhooks demo` shows the main job by itself.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use blackbox::{process::Process, product::Service, run, run_test, servers, wait::eventually};

const LONG: Duration = Duration::from_secs(120);

/// The demo, with `temporary` for its temporary files.
fn demo(folder: &Path) -> Command {
    let mut command = Command::new(Service::Standalone.path());
    command.arg("demo").current_dir(folder).env_clear().env("HOME", folder).env("TMPDIR", temporary(folder));
    command
}

fn new_folder() -> PathBuf {
    let folder = run::folder("demo");
    fs::create_dir(temporary(&folder)).expect("a folder in a new folder");
    folder
}

fn temporary(folder: &Path) -> PathBuf {
    folder.join("tmp")
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).expect("a folder").next().is_none()
}

#[test]
fn demo_ends_well() {
    run_test(async {
        let folder = new_folder();
        let mut demo = Process::start("demo", demo(&folder).arg("--exit"), &folder, "KILL");
        let status = eventually(LONG, "the demo ends", async || demo.ended()).await;
        let output = demo.output();
        assert!(status.success(), "the demo ended with {status}:\n{output}");
        for expected in [
            "http://127.0.0.1:",
            "https://127.0.0.1:",
            "❌ Test run failed",
            "23 events published, 59 of 59 attempts arrived, 0 signatures wrong\n",
            "messages in chats: discord 5, slack 10, teams 8\n",
            "history: 49 delivered, 10 failed\n",
            "/… because its path is a secret\n",
        ] {
            assert!(output.contains(expected), "the demo does not show {expected}:\n{output}");
        }
        let shown: Vec<&str> = output.lines().filter(|line| line.contains("attempt ")).collect();
        assert_eq!(shown.len(), 59, "{output}");
        for (receiver, count) in
            [("healthy", 23), ("fails-twice", 9), ("gone", 4), ("slack", 10), ("teams", 8), ("discord", 5)]
        {
            let of_receiver = shown.iter().filter(|line| line.split(' ').next() == Some(receiver));
            assert_eq!(of_receiver.count(), count, "lines of {receiver}:\n{output}");
        }
        for line in &shown {
            assert!(line.contains("signature ok") && line.chars().count() <= 120, "{line}");
        }
        assert!(is_empty(&temporary(&folder)), "it leaves files behind");
    });
}

#[test]
fn demo_goes_on_until_it_is_interrupted() {
    run_test(async {
        let folder = new_folder();
        let mut demo = Process::start("demo", &mut demo(&folder), &folder, "KILL");
        let line = eventually(LONG, "the demo says how to publish another event", async || {
            assert!(demo.ended().is_none(), "{}", demo.output());
            demo.output().lines().find(|line| line.contains("publish -f")).map(str::to_owned)
        })
        .await;
        let shown = |output: &str| output.matches("run.completed ").count();
        let before = shown(&demo.output());
        let mut shell = Command::new("sh");
        shell.args(["-c", &line]).current_dir(&folder).stdin(Stdio::null());
        let published = servers::blocking(move || shell.output()).await.expect("sh");
        assert!(published.status.success(), "{line}: {}", String::from_utf8_lossy(&published.stderr));
        eventually(LONG, "the demo shows what arrives", async || (shown(&demo.output()) > before).then_some(())).await;
        assert!(demo.output().contains("signature ok") && !demo.output().contains("SIGNATURE WRONG"));

        demo.signal("INT");
        let status = eventually(LONG, "the demo ends", async || demo.ended()).await;
        assert!(status.success(), "the demo ended with {status}:\n{}", demo.output());
        assert!(is_empty(&temporary(&folder)), "it leaves files behind");
    });
}

#[test]
fn an_interrupted_demo_leaves_nothing_behind() {
    run_test(async {
        for (signal, sign) in [("INT", None), ("TERM", Some("attempt 1"))] {
            let folder = new_folder();
            let mut demo = Process::start("demo", &mut demo(&folder), &folder, "KILL");
            eventually(LONG, "the demo has begun", async || {
                let begun = sign.map_or_else(|| !is_empty(&temporary(&folder)), |sign| demo.output().contains(sign));
                begun.then_some(())
            })
            .await;
            demo.signal(signal);
            let status = eventually(LONG, "the demo ends", async || demo.ended()).await;
            assert_eq!(status.code(), Some(1), "not everything had arrived:\n{}", demo.output());
            assert!(is_empty(&temporary(&folder)), "it leaves files behind after SIG{signal}");
            assert!(!demo.output().contains("panicked"), "{}", demo.output());
        }
    });
}

#[test]
fn demo_ends_quietly_when_nobody_reads() {
    run_test(async {
        let folder = new_folder();
        let mut shell = Command::new("sh");
        let line = r#"{ "$0" demo; echo "status $?" >&2; } | head -3"#;
        shell.args(["-c", line]).arg(Service::Standalone.path()).env("TMPDIR", temporary(&folder)).stdin(Stdio::null());
        let output = servers::blocking(move || shell.output()).await.expect("sh");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(errors, "status 141\n", "it says more than its status");
        assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 3);
        assert!(is_empty(&temporary(&folder)), "it leaves files behind");
    });
}
