//! `testmo-webhooks replay`.

use std::time::Duration;

use blackbox::{
    process::Process,
    product::{Mode, Service},
    receiver::Answer,
    run,
    wait::eventually,
};

use super::{LONG_AGO, SOON, Scene};
use crate::command_line::told;

impl Scene {
    /// The command against this product; embedded, the defaults do.
    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = self.product.command(&["replay", "--webhook", &self.hook.id.to_string()]);
        if self.product.mode() == Mode::Distributed {
            let file = self.product.setting(Service::Subscription, "auth.bootstrap_token_file").expect("its file");
            command.args(["--server", &self.rest.address().to_string(), "--token-file", file]);
        }
        command.args(arguments);
        command
    }

    async fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        told(self.command(arguments)).await
    }
}

pub(super) async fn the_command_counts_asks_and_shows_how_it_goes(mode: Mode) {
    let scene = Scene::failed(mode, 40).await;
    // Nobody can be asked.
    let (status, out, err) = scene.run(&["--from", LONG_AGO]).await;
    assert!(out.starts_with("40 failed deliveries, from 2") && out.lines().count() == 1, "{out}");
    assert!(status == Some(1) && err.contains("replay 40 deliveries of webhook") && err.contains("--yes"), "{err}");
    let (status, out, err) = scene.run(&["--from", LONG_AGO, "--event", "case.*", "--yes"]).await;
    assert_eq!((status, out.as_str(), err.as_str()), (Some(0), "there is nothing to replay\n", ""));
    let (status, _, err) = scene.run(&["--from", "yesterday"]).await;
    assert!(status == Some(1) && err.starts_with("error: from: must be a time"), "{err}");
    scene.receiver.stays_at("/in", 40, Duration::ZERO).await;

    let (status, out, err) = scene.run(&["--from", LONG_AGO, "--yes"]).await;
    assert_eq!(status, Some(1), "{out}{err}");
    assert!(out.ends_with("done: 0 of 40 delivered, 40 failed again\n"), "{out}");
    scene.receiver.script("/in", 200);
    let (status, out, err) = scene.run(&["--from", LONG_AGO, "--yes"]).await;
    assert!(status == Some(0) && out.ends_with("done: 40 of 40 delivered, 0 failed again\n"), "{out}{err}");
    assert!(err.lines().all(|line| line.starts_with('[') && line.contains("% of 40: ")), "{err}");

    interrupted_it_goes_on(&scene).await;
}

/// Ctrl-C ends the command, not the replay.
async fn interrupted_it_goes_on(scene: &Scene) {
    scene.receiver.script("/in", 410);
    scene.fail(10).await;
    scene.receiver.script("/in", Answer::hang());
    let folder = run::folder("replay");
    let mut process = Process::start("replay", &mut scene.command(&["--from", LONG_AGO, "--yes"]), &folder, "KILL");
    eventually(SOON, "the command shows how it goes", async || process.output().contains("% of 10: ").then_some(()))
        .await;
    scene.receiver.wait_for("/in", 131, SOON).await;
    let ended = blackbox::servers::blocking(move || {
        let status = process.terminate(SOON);
        (status, process.output())
    });
    let (status, output) = ended.await;
    assert_eq!(status.code(), Some(130), "{output}");
    assert!(output.contains("the replay goes on; to cancel it: testmo-webhooks replay --webhook"), "{output}");
    let id = output.rsplit("--cancel ").next().expect("the id").trim().to_owned();
    assert_eq!(scene.look(&id).await["state"], "running");
    let (status, out, err) = scene.run(&["--cancel", &id]).await;
    assert!(status == Some(0) && out.starts_with("cancelled: "), "{out}{err}");
    let (status, out, _) = scene.run(&["--watch", &id]).await;
    assert!(status == Some(1) && out.starts_with("cancelled: ") && out.contains("cancelled by"), "{out}");
}
