//! The commands for people, each in a process of its own.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use blackbox::{
    ports,
    process::Process,
    product::{Mode, Product, Service},
    run, run_test, servers,
    wait::eventually,
};

const LONG: Duration = Duration::from_secs(60);

/// The program, in a folder and with no environment.
pub(crate) fn program(folder: &Path) -> Command {
    let mut command = Command::new(Service::Standalone.path());
    command.current_dir(folder).env_clear().env("HOME", folder).stdin(Stdio::null());
    command
}

fn key(name: &str) -> String {
    format!("TESTMO_WEBHOOKS__{}", name.to_uppercase().replace('.', "__"))
}

/// `standalone` on ports that the operating system chooses, with some configuration more.
fn standalone(folder: &Path, settings: &[(&str, &str)]) -> Command {
    let mut command = program(folder);
    command.arg("standalone");
    let listeners = ["http.listen", "grpc.listen", "admin.listen"].map(|name| (name, "127.0.0.1:0"));
    for (name, value) in listeners.iter().chain(settings) {
        command.env(key(name), value);
    }
    command
}

async fn output(mut command: Command) -> Output {
    servers::blocking(move || command.output()).await.expect("a program that can be run")
}

/// Status, standard output and standard error.
pub(crate) async fn told(command: Command) -> (Option<i32>, String, String) {
    let output = output(command).await;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// Starts `standalone` and waits until it says where it listens: REST, gRPC, health.
async fn start(folder: &Path, log: &str) -> (Process, [String; 3]) {
    let mut process = Process::start(log, &mut standalone(folder, &[]), folder, "KILL");
    let line = eventually(LONG, "standalone says where it listens", async || {
        assert!(process.ended().is_none(), "{}", process.output());
        process.output().lines().find(|line| line.starts_with("REST API at")).map(str::to_owned)
    })
    .await;
    let addresses: Vec<String> = line
        .split(|letter: char| !letter.is_ascii_digit() && !".:".contains(letter))
        .map(|word| word.trim_matches(':'))
        .filter(|word| word.starts_with("127.0.0.1:"))
        .map(str::to_owned)
        .collect();
    (process, addresses.try_into().unwrap_or_else(|_| panic!("not three addresses: {line}")))
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("a file").permissions().mode() & 0o777
}

#[test]
fn the_first_start_makes_files_for_its_owner_alone() {
    run_test(async {
        let folder = run::folder("first-start");
        let (mut process, [http, grpc, admin]) = start(&folder, "first").await;
        let data = folder.join("data");
        assert_eq!(mode(&data), 0o700);
        let mut names = Vec::new();
        for entry in fs::read_dir(&data).expect("the data folder") {
            let path = entry.expect("an entry").path();
            assert_eq!(mode(&path), 0o600, "{} may be read by others", path.display());
            names.push(path.file_name().expect("a name").to_string_lossy().into_owned());
        }
        for name in ["admin.token", "publisher.token", "secrets.key"] {
            assert!(names.iter().any(|found| found == name), "{name} is not among {names:?}");
            assert!(process.output().contains(name), "it does not say where {name} is:\n{}", process.output());
        }
        // The addresses are those where it listens.
        let command = |arguments: &[&str]| {
            let mut command = program(&folder);
            command.args(arguments);
            command
        };
        let (status, out, err) = told(command(&["health", "--server", &admin])).await;
        assert_eq!((status, out.lines().next()), (Some(0), Some("ok")), "{err}");
        let (status, out, err) = told(command(&["token", "list", "--server", &http])).await;
        assert!(status == Some(0) && out.starts_with("id ") && out.contains("publisher"), "{out}{err}");
        let (status, _, err) = told(command(&["publish", "-f", "/dev/null", "--server", &grpc])).await;
        assert_eq!((status, err.as_str()), (Some(0), ""));
        let (status, out, err) = told(command(&["token", "list", "--server", &format!("http://{http}/base")])).await;
        assert_eq!((status, out.as_str()), (Some(1), ""));
        assert!(err.contains("nothing but host and port"), "{err}");
        servers::blocking(move || process.terminate(LONG)).await;

        let (process, _) = start(&folder, "second").await;
        assert!(!process.output().contains("written to"), "nothing is made twice:\n{}", process.output());
    });
}

#[test]
fn a_refused_first_start_leaves_nothing_behind() {
    run_test(async {
        let folder = run::folder("refused-start");
        let file = |name: &str, text: &str| {
            let path = folder.join(name);
            fs::write(&path, text).expect("a new file");
            path.display().to_string()
        };
        let (empty, junk) = (file("empty", ""), file("junk", "two words"));
        let pem = file("pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        let missing = folder.join("missing").display().to_string();
        for (name, value) in [
            ("delivery.ca_file", &missing),
            ("delivery.ca_file", &pem),
            ("delivery.ca_file", &junk),
            ("secrets.key_file", &missing),
            ("secrets.key_file", &junk),
            ("auth.bootstrap_token_file", &missing),
            ("auth.bootstrap_token_file", &empty),
            ("auth.bootstrap_token_file", &junk),
            ("auth.bootstrap_publisher_token_file", &junk),
        ] {
            let (status, out, err) = told(standalone(&folder, &[(name, value)])).await;
            assert_eq!((status, out.as_str()), (Some(1), ""), "{err}");
            assert!(err.contains(name) && err.contains(value.as_str()), "{name} or {value} is not named: {err}");
            assert_eq!(err.lines().count(), 1, "{err}");
            assert!(!folder.join("data").exists(), "{name} {value} leaves the data folder behind");
        }
        let address = format!("127.0.0.1:{}", ports::free());
        for (name, url) in [
            ("database.url", format!("postgres://testmo:hunter2@{address}/testmo")),
            ("broker.url", format!("amqp://testmo:hunter2@{address}/testmo")),
        ] {
            let (status, out, err) = told(standalone(&folder, &[(name, &url)])).await;
            assert_eq!((status, out.as_str()), (Some(1), ""), "{err}");
            assert!(err.contains(&address) && !err.contains("hunter2"), "{err}");
            assert_eq!(err.matches("refused").count(), 1, "the cause is told once: {err}");
            assert!(!folder.join("data").exists(), "{name} leaves the data folder behind");
        }
    });
}

#[test]
fn a_token_file_that_holds_none_is_named() {
    run_test(async {
        let folder = run::folder("token-file");
        let data = folder.join("data");
        fs::create_dir(&data).expect("a folder in a new folder");
        fs::write(data.join("admin.token"), "").expect("a new file");
        let (status, _, err) = told(standalone(&folder, &[])).await;
        assert!(status == Some(1) && err.contains("./data/admin.token must hold a token"), "{err}");
        assert_eq!(fs::read_dir(&data).expect("the folder").count(), 1, "nothing is made beside it");
    });
}

#[test]
fn configuration_is_shown_without_passwords() {
    run_test(async {
        let folder = run::folder("config");
        let config = |name: &str, value: &OsStr| {
            let mut command = program(&folder);
            command.arg("config").env(name, value);
            command
        };
        let url = "postgres://user@host/d?password=hunter2&sslmode=require";
        let (status, out, _) = told(config(&key("database.url"), url.as_ref())).await;
        assert_eq!(status, Some(0));
        assert!(out.contains(r#"url = "postgres://user@host/d?password=…&sslmode=…""#), "{out}");

        let bytes = OsStr::from_bytes(b"\xff");
        assert_eq!(told(config("SOMETHING_ELSE", bytes)).await.0, Some(0));
        for (name, value, expected) in [
            ("database.url", bytes, "TESTMO_WEBHOOKS__DATABASE__URL must be UTF-8"),
            ("log.format", OsStr::new("xml"), "log.format must be human or json"),
            ("delivery.timeout", OsStr::new("0s"), "delivery.timeout must be longer than 0s, such as 10s"),
            ("delivery.max_in_flight", OsStr::new("0"), "delivery.max_in_flight must be at least 1, such as 512"),
        ] {
            let (status, _, err) = told(config(&key(name), value)).await;
            assert!(status == Some(1) && err.contains(expected), "{err}");
        }
    });
}

#[test]
fn each_service_says_what_it_is() {
    run_test(async {
        for (service, migrates) in [
            (Service::Subscription, true),
            (Service::History, true),
            (Service::Ingest, false),
            (Service::Dispatcher, false),
        ] {
            let run = |argument: &str| {
                let mut command = Command::new(service.path());
                command.arg(argument).env_clear();
                command
            };
            let (_, help, _) = told(run("--help")).await;
            assert!(help.starts_with("Testmo webhooks: ") && help.contains(&service.to_string()), "{help}");
            assert_eq!(help.contains("--no-migrate"), migrates, "{help}");
            assert!(told(run("--version")).await.1.starts_with(&service.to_string()));
        }
    });
}

fn event(name: &str) -> Vec<u8> {
    let text = r#"{"event": "run.completed", "project": {"id": 1}, "data": {"run": {"id": 1, "name": "NAME"}, "result": "passed"}}"#;
    text.replace("NAME", name).into_bytes()
}

/// `publish` of a file with these lines.
fn publish(product: &Product, folder: &Path, token: &str, lines: &[Vec<u8>]) -> Command {
    let write = |name: &str, bytes: &[u8]| -> PathBuf {
        let path = folder.join(name);
        fs::write(&path, bytes).expect("a file in a new folder");
        path
    };
    let (file, token) = (write("events", &lines.join(&b"\n"[..])), write("token", token.as_bytes()));
    let mut command = program(folder);
    command.args(["publish", "--server", &product.publish_address()]);
    command.arg("-f").arg(file).arg("--token-file").arg(token);
    command
}

#[test]
fn what_is_wrong_with_a_line_is_told_of_that_line_alone() {
    run_test(async {
        let product = Product::start(Mode::Embedded).await;
        let folder = run::folder("publish");
        let mut lines = vec![
            [b"\xef\xbb\xbf".to_vec(), event("first")].concat(),
            b"\xff".to_vec(),
            event(&"x".repeat(300 << 10)),
            event(&"x".repeat(3 << 20)),
            b"{".to_vec(),
            Vec::new(),
            event("seventh").iter().copied().chain(*b"\r").collect(),
        ];
        // Together more than the server takes in a call.
        lines.extend((0..40).map(|_| {
            let extra = format!(r#""extra": "{}", "result""#, "x".repeat(200 << 10));
            String::from_utf8(event("large")).expect("text").replace(r#""result""#, &extra).into_bytes()
        }));
        lines.extend((0..500).map(|_| event("small")));
        let (status, out, err) = told(publish(&product, &folder, product.publisher_token(), &lines)).await;
        assert_eq!((status, out.lines().count()), (Some(1), 542), "{err}");
        let errors: Vec<&str> = err.lines().collect();
        assert_eq!(errors.len(), 4, "{err}");
        for (error, (line, text)) in errors.iter().zip([(2, "UTF-8"), (3, "256 KiB"), (4, "256 KiB"), (5, "")]) {
            assert!(error.starts_with(&format!("line {line}: ")) && error.contains(text), "{error}");
        }
    });
}

#[test]
fn what_was_not_published_is_told() {
    run_test(async {
        let product = Product::start(Mode::Embedded).await;
        let folder = run::folder("publish");
        let lines = vec![event("small"); 5];
        let (status, out, err) = told(publish(&product, &folder, &"x".repeat(40), &lines)).await;
        assert_eq!((status, out.as_str()), (Some(1), ""));
        assert!(err.contains("token"), "{err}");
        assert_eq!(err.lines().count(), 1, "{err}");
        // How many lines were read before the call failed is chance; that each is accounted for is not.
        let (_, told) = err.trim().split_once("not published: ").expect("what was not published");
        let not_published = |line: usize| told.split(", ").any(|row| covers(row, line));
        assert!((1..=5).all(not_published) && !not_published(0), "{err}");
    });
}

/// Whether `line 3`, `lines 1 to 4` or `everything from line 5 on` has this line in it.
fn covers(row: &str, line: usize) -> bool {
    let numbers: Vec<usize> = row.split(' ').filter_map(|word| word.parse().ok()).collect();
    match numbers[..] {
        [first] if row.starts_with("everything") => line >= first,
        [only] => line == only,
        [first, last] => (first..=last).contains(&line),
        _ => panic!("not rows of lines: {row}"),
    }
}

#[test]
fn publish_ends_quietly_when_nobody_reads() {
    run_test(async {
        let product = Product::start(Mode::Embedded).await;
        let folder = run::folder("publish");
        let mut publish = publish(&product, &folder, product.publisher_token(), &vec![event("small"); 50]);
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        publish.stdout(writer).stderr(Stdio::piped());
        let child = publish.spawn().expect("the program");
        let output = servers::blocking(move || child.wait_with_output()).await.expect("its end");
        assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(141), ""));
    });
}

#[test]
fn tokens_are_made_used_and_revoked() {
    run_test(async {
        let folder = run::folder("tokens");
        let (process, [http, grpc, _]) = start(&folder, "tokens").await;
        let command = |arguments: &[&str]| {
            let mut command = program(&folder);
            command.args(arguments);
            command
        };
        let create =
            ["token", "create", "--server", &http, "--name", "everywhere", "--role", "publisher", "--all-instances"];
        let (status, token, err) = told(command(&create)).await;
        assert!(status == Some(0) && token.starts_with("tmwh_"), "{token}{err}");
        fs::write(folder.join("everywhere.token"), &token).expect("a file");
        let event = r#"{"event":"run.created","project":{"id":1},"data":{"run":{"id":7,"name":"Smoke"}}}"#;
        fs::write(folder.join("events"), event).expect("a file");
        let publish = ["publish", "-f", "events", "--server", &grpc, "--token-file", "everywhere.token"];
        let (status, _, err) = told(command(&publish)).await;
        assert!(status == Some(1) && err.contains("instance"), "for all instances, each must name one: {err}");
        fs::write(folder.join("events"), event.replacen('{', r#"{"instance":"acme","#, 1)).expect("a file");
        let (status, out, err) = told(command(&publish)).await;
        assert!(status == Some(0) && out.trim().len() == 36, "{out}{err}");

        let (_, list, _) = told(command(&["token", "list", "--server", &http])).await;
        let line = list.lines().find(|line| line.contains("everywhere")).expect("the token is listed");
        let id = line.split_whitespace().next().expect("an id");
        let (status, _, err) = told(command(&["token", "revoke", id, "--server", &http])).await;
        assert_eq!((status, err.as_str()), (Some(0), ""));
        eventually(LONG, "the revoked token opens nothing", async || {
            let (status, _, err) = told(command(&publish)).await;
            (status == Some(1) && err.contains("token")).then_some(())
        })
        .await;
        let member = ["token", "create", "--server", &http, "--name", "x", "--role", "member", "--all-instances"];
        let (status, _, err) = told(command(&member)).await;
        assert!(status == Some(1) && err.contains("all_instances"), "{err}");
        servers::blocking(move || drop(process)).await;
    });
}
