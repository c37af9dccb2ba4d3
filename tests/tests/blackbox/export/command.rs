//! `testmo-webhooks export`.

use std::{fs, path::Path};

use blackbox::{
    product::{Mode, Service},
    run,
};
use serde_json::{Value, json};

use super::{ENTRIES, REFUSED, Scene, lines};
use crate::command_line::told;

type Told = (Option<i32>, String, String);

impl Scene {
    /// The command against this product; embedded, the defaults do.
    async fn run(&self, arguments: &[&str]) -> Told {
        let mut command = self.product.command(&["export"]);
        if self.product.mode() == Mode::Distributed {
            let file = self.product.setting(Service::Subscription, "auth.bootstrap_token_file").expect("its file");
            command.args(["--server", &self.rest.address().to_string()]);
            if !arguments.contains(&"--token-file") {
                command.args(["--token-file", file]);
            }
        }
        command.args(arguments);
        told(command).await
    }
}

#[track_caller]
fn refused((status, out, err): Told, text: &str) {
    assert!((status, out.as_str()) == (Some(1), "") && err.starts_with("error: ") && err.contains(text), "{out}{err}");
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("the folder");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort_unstable();
    names
}

pub(super) async fn the_command_writes_files_and_goes_on_with_them(mode: Mode) {
    let scene = Scene::new(mode, 0).await;
    let (array, ndjson) = (scene.export("").await.bytes, scene.export("format=ndjson").await.bytes);
    let folder = run::folder("export");
    let file = folder.join("export.ndjson");
    let part = folder.join("export.ndjson.part");
    let output = ["--output", file.to_str().expect("UTF-8"), "--format", "ndjson"];
    let with = |more: &[&'static str]| [&output[..], more].concat();

    refused(scene.run(&with(&["--resume"])).await, "leave out --resume");
    refused(scene.run(&with(&["--from", "yesterday"])).await, "from: must be a time");
    refused(scene.run(&with(&["--status", "lost"])).await, "status: must be one of");
    let token = json!({"name": "p1", "role": "project_admin", "projects": [1]});
    let token = scene.rest.post("/api/v1/tokens", token).await.expect(201);
    let token_file = run::folder("export-token").join("token");
    fs::write(&token_file, token["token"].as_str().expect("its text")).expect("a file");
    let as_other = [&output[..], &["--token-file", token_file.to_str().expect("UTF-8")]].concat();
    refused(scene.run(&as_other).await, "(403)");
    assert!(names(&folder).is_empty(), "what is refused leaves no file");

    let (status, out, err) = scene.run(&[]).await;
    assert!(status == Some(0) && out.as_bytes() == array, "{err}");
    let (status, out, err) = scene.run(&output).await;
    assert_eq!((status, out.as_str()), (Some(0), ""), "{err}");
    let told: Vec<_> = err.lines().collect();
    assert_eq!(told[0], format!("{ENTRIES} entries to export"), "{err}");
    assert!(told[1].starts_with('[') && told[1].contains(&format!("% of {ENTRIES}: ")), "{err}");
    assert!(told[2].starts_with(&format!("{ENTRIES} entries, ")) && told.len() == 3, "{err}");
    assert!(fs::read(&file).expect("the file") == ndjson && names(&folder) == ["export.ndjson"]);
    refused(scene.run(&output).await, "replace it with --force");
    refused(scene.run(&[&output[..2], &["--resume", "--force"]].concat()).await, "--format ndjson");

    // Broken off in the middle of a line, at its end, and where nothing but the name was missing.
    let ends: Vec<_> = ndjson.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(place, _)| place).collect();
    for cut in [ends[99] + 50, ends[99] + 1, ndjson.len(), 10] {
        fs::remove_file(&file).expect("the file of before");
        fs::write(&part, &ndjson[..cut]).expect("a part");
        refused(scene.run(&output).await, "go on with it with --resume");
        // The cursor is of another list.
        if cut > 10 {
            refused(scene.run(&with(&["--resume", "--status", "failed"])).await, "cursor");
        }
        let (status, _, err) = scene.run(&with(&["--resume"])).await;
        let left = ENTRIES - lines(&ndjson[..ends.iter().rfind(|end| **end < cut).map_or(0, |end| end + 1)]).len();
        assert!(status == Some(0) && err.contains(&format!("{left} entries to export")) || left == 1, "{err}");
        assert!(err.ends_with('\n') && err.contains(&format!("\n{ENTRIES} entries, ")), "{err}");
        assert!(fs::read(&file).expect("the file") == ndjson && names(&folder) == ["export.ndjson"], "cut at {cut}");
    }
    let webhook = scene.hooks[1].id.to_string();
    let filters = ["--webhook", &webhook, "--status", "failed", "--event", "run.created", "--test", "false"];
    let filters = [&filters[..], &["--from", "2020-01-01T00:00:00+01:00", "--to", "2999-01-01T00:00:00Z"]].concat();
    let (status, _, err) = scene.run(&[&["--force", "-o", output[1]], &filters[..]].concat()).await;
    assert_eq!(status, Some(0), "{err}");
    let found: Vec<Value> = serde_json::from_slice(&fs::read(&file).expect("the file")).expect("an array");
    assert_eq!(found.len(), REFUSED);
}
