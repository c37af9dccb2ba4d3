//! `testmo-webhooks demo` shows the main job by itself.

use std::{process::Command, time::Duration};

use blackbox::{process::Process, product::Service, run, run_test, servers};

#[test]
fn demo_ends_well() {
    run_test(async {
        let folder = run::folder("demo");
        let (ended, output) = servers::blocking(move || {
            let mut command = Command::new(Service::Standalone.path());
            command.args(["demo", "--exit"]).current_dir(&folder).env_clear().env("HOME", &folder);
            let mut demo = Process::start("demo", &mut command, &folder, "KILL");
            (demo.wait(Duration::from_secs(120)), demo.output())
        })
        .await;
        let status = ended.unwrap_or_else(|| panic!("the demo does not end:\n{output}"));
        assert!(status.success(), "the demo ended with {status}:\n{output}");
        for expected in ["run.completed", "user.mentioned", "http://127.0.0.1:"] {
            assert!(output.contains(expected), "the demo does not show {expected}:\n{output}");
        }
    });
}
