//! A run leaves nothing behind, however it ends.

use std::{
    fs,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use blackbox::{run_test, servers, wait::eventually};

/// Names the file in which the test below, run in a process of its own, says what it has started.
const REPORT: &str = "BLACKBOX_LEFTOVERS_REPORT";

/// Starts servers and dies, when told so by the environment; passes otherwise.
#[test]
fn dies_when_told() {
    let Some(report) = std::env::var_os(REPORT) else { return };
    run_test(async {
        let (database, host) = (servers::database().await, servers::virtual_host().await);
        fs::write(&report, format!("{}\n{}\n", database.url, host.url)).expect("the file that the parent named");
        let id = std::process::id().to_string();
        let status = Command::new("sh").args(["-c", r#"kill -s KILL "$1""#, "sh", &id]).status();
        panic!("still here after kill -9: {status:?}");
    });
}

#[test]
fn nothing_outlives_a_killed_run() {
    run_test(async {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let report = folder.path().join("report");
        let temporary = folder.path().join("tmp");
        fs::create_dir(&temporary).expect("a folder in the new folder");
        open_to_all(folder.path());
        open_to_all(&temporary);
        let mut command = Command::new(std::env::current_exe().expect("the path of this program"));
        command.args(["--exact", "harness::leftovers::dies_when_told", "--nocapture"]);
        command.env(REPORT, &report).env("TMPDIR", &temporary).env_remove("DATABASE_URL").env_remove("AMQP_URL");
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let status = servers::blocking(move || command.status()).await.expect("this program, once more");
        assert_eq!(status.signal(), Some(9), "it dies of kill -9, with servers running");
        assert_eq!(fs::read_to_string(&report).expect("the report").lines().count(), 2);

        eventually(Duration::from_secs(20), "the watchdog removes the folder", async || {
            entries(&temporary).is_empty().then_some(())
        })
        .await;
        eventually(Duration::from_secs(10), "every process of the dead run is gone", async || {
            let left = mentioning(&temporary);
            if !left.is_empty() {
                println!("still there: {left:?}");
            }
            left.is_empty().then_some(())
        })
        .await;
    });
}

fn open_to_all(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o711)).expect("permissions of a new folder");
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).expect("the folder").flatten().map(|entry| entry.path()).collect()
}

/// The command lines of processes that work in `folder`, or mention it in their command line or environment.
fn mentioning(folder: &Path) -> Vec<String> {
    let text = folder.display().to_string();
    let mentions = |process: &Path, file: &str| {
        let bytes = fs::read(process.join(file)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).contains(&text)
    };
    let own = std::process::id().to_string();
    entries(Path::new("/proc"))
        .into_iter()
        .filter(|process| process.file_name().is_some_and(|id| id != own.as_str()))
        .filter(|process| {
            let works_there = fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd.starts_with(folder));
            works_there || mentions(process, "cmdline") || mentions(process, "environ")
        })
        .map(|process| {
            let line = fs::read(process.join("cmdline")).unwrap_or_default();
            format!("{}: {}", process.display(), String::from_utf8_lossy(&line).replace('\0', " "))
        })
        .collect()
}
