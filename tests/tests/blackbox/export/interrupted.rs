//! `testmo-webhooks export` from a server that goes away, ended by Ctrl-C, and over TLS.

use std::{fs, path::Path, process::Command, time::Duration};

use blackbox::{
    process::Process,
    receiver::{Answer, Authority, Receiver},
    run, run_test, servers,
    wait::eventually,
};

use super::EXPORT;
use crate::command_line::{program, told};

const SOON: Duration = Duration::from_secs(30);
/// The beginning of an answer: two of three entries, and something of the third.
const HEAD: &str = "HTTP/1.1 200 OK\r\nx-total-count: 3\r\ntransfer-encoding: chunked\r\n\r\n";
const TEXT: &str = "{\"cursor\":\"one\"}\n{\"cursor\":\"two\"}\n{\"cur";

fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

/// `export` into `export.ndjson` in this folder.
fn export(folder: &Path, receiver: &Receiver, more: &[&str]) -> Command {
    fs::write(folder.join("token"), "a-token").expect("a file");
    let mut command = program(folder);
    command.args(["export", "--output", "export.ndjson", "--format", "ndjson", "--token-file", "token"]);
    command.args(["--server", &receiver.url("/")]).args(more);
    // Not heeded: it would get the token.
    command.envs(["http_proxy", "https_proxy", "ALL_PROXY"].map(|name| (name, "http://127.0.0.1:1")));
    command
}

#[test]
fn what_came_is_kept_and_gone_on_with() {
    run_test(async {
        let (folder, receiver) = (run::folder("export"), Receiver::start().await);
        let (file, part) = (folder.join("export.ndjson"), folder.join("export.ndjson.part"));
        receiver.script(EXPORT, Answer::raw(HEAD.to_owned() + &chunk(TEXT)));
        let (status, _, err) = told(export(&folder, &receiver, &[])).await;
        assert_eq!(status, Some(1));
        let mut told_of = err.lines().rev();
        let error = told_of.next().expect("the error");
        assert!(error.starts_with("error: the connection broke: "), "{err}");
        let left = "what came is in export.ndjson.part; to go on: the same command with --resume";
        assert_eq!(told_of.next(), Some(left), "{err}");
        assert!(!file.exists() && fs::read_to_string(&part).expect("the part") == TEXT);

        // Whole as an answer, but not what was announced.
        let third = chunk("{\"cursor\":\"three\"}\n");
        receiver.script(EXPORT, Answer::raw(HEAD.to_owned() + &third + "0\r\n\r\n"));
        let (status, _, err) = told(export(&folder, &receiver, &["--resume"])).await;
        assert!(status == Some(1) && err.contains("3 of 5 entries came"), "{err}");
        assert!(!file.exists(), "{err}");

        receiver.script(EXPORT, Answer::raw(HEAD.replace("count: 3", "count: 1") + &third + "0\r\n\r\n"));
        fs::write(&part, TEXT).expect("the part as it was");
        let (status, _, err) = told(export(&folder, &receiver, &["--resume"])).await;
        assert_eq!(status, Some(0), "{err}");
        let asked = &receiver.requests(EXPORT)[2];
        assert_eq!(asked.query.as_deref(), Some("format=ndjson&cursor=two"));
        assert_eq!(fs::read_to_string(&file).expect("the file").lines().count(), 3);
        assert!(!part.exists());
    });
}

#[test]
fn ctrl_c_leaves_what_came() {
    run_test(async {
        let (folder, receiver) = (run::folder("export"), Receiver::start().await);
        receiver.script(EXPORT, Answer::raw_then_hang(HEAD.to_owned() + &chunk(TEXT)));
        let mut process = Process::start("export", &mut export(&folder, &receiver, &[]), &folder, "KILL");
        let part = folder.join("export.ndjson.part");
        eventually(SOON, "something came", async || {
            fs::read_to_string(&part).is_ok_and(|text| text == TEXT).then_some(())
        })
        .await;
        let ended = servers::blocking(move || {
            process.signal("INT");
            let status = process.wait(SOON);
            (status, process.output())
        });
        let (status, output) = ended.await;
        assert_eq!(status.and_then(|status| status.code()), Some(130), "{output}");
        assert!(output.ends_with("to go on: the same command with --resume\n"), "{output}");
        assert_eq!(fs::read_to_string(&part).expect("the part"), TEXT);
    });
}

#[test]
fn over_tls_the_roots_of_the_system_decide() {
    run_test(async {
        let (folder, authority) = (run::folder("export"), Authority::new());
        let receiver = Receiver::start_tls(&authority, "127.0.0.1").await;
        let whole = HEAD.replace("count: 3", "count: 1") + &chunk("{\"cursor\":\"one\"}\n") + "0\r\n\r\n";
        receiver.script(EXPORT, Answer::raw(whole));
        let (status, _, err) = told(export(&folder, &receiver, &[])).await;
        assert!(status == Some(1) && err.starts_with("error: no TLS with https://127.0.0.1:"), "{err}");
        assert_eq!(receiver.count(EXPORT), 0);
        let mut command = export(&folder, &receiver, &[]);
        command.env("SSL_CERT_FILE", authority.file());
        let (status, _, err) = told(command).await;
        assert_eq!((status, err.lines().last()), (Some(0), Some("1 entry, 17 B")), "{err}");
        assert_eq!(receiver.requests(EXPORT)[0].expect_header("authorization"), "Bearer a-token");
    });
}
