//! `testmo-webhooks verify`, on a delivery that was really made.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use blackbox::{
    events, in_both_modes,
    product::{Mode, Product},
    receiver::{Received, Receiver},
    run, run_test, webhooks,
};
use serde_json::{Value, json};

use crate::command_line::{program, told};

const SOON: Duration = Duration::from_secs(30);
const NAMES: [&str; 2] = ["X-Testmo-Signature-256", "webhook-signature"];

in_both_modes!(a_real_delivery_verifies, either_secret_verifies_while_they_overlap);

/// A delivery, as files.
struct Saved {
    folder: PathBuf,
    request: Arc<Received>,
    secret: String,
}

impl Saved {
    /// Writes secret, headers, body, and all of the request into a folder.
    fn new(request: Arc<Received>, secret: &str) -> Self {
        let folder = run::folder("verify");
        let saved = Self { folder, request, secret: secret.to_owned() };
        saved.write("secret", format!("{secret}\n"));
        saved.write("body", &saved.request.body);
        saved.write("headers", saved.head("\n"));
        saved.write("request", [saved.head("\r\n").as_bytes(), b"\r\n", &saved.request.body].concat());
        saved
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.folder.join(name), bytes).expect("a file in a new folder");
    }

    fn head(&self, line_break: &str) -> String {
        let lines = self.request.headers.iter().map(|(name, value)| format!("{name}: {value}{line_break}"));
        [format!("POST {} HTTP/1.1{line_break}", self.request.path)].into_iter().chain(lines).collect()
    }

    /// Runs `verify`; its status, standard output and standard error.
    async fn verify(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        told(verify(&self.folder, arguments)).await
    }

    /// Runs it with the saved secret.
    async fn verify_saved(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        self.verify(&[&["--secret-file", "secret"], arguments].concat()).await
    }

    /// Runs it, and panics unless it says that every signature is invalid, for this reason.
    async fn refuses(&self, arguments: &[&str], reason: &str) {
        let (status, out, err) = self.verify_saved(arguments).await;
        assert_eq!((status, err.as_str()), (Some(1), ""), "{arguments:?}: {out}");
        assert!(out.lines().count() > 0 && out.lines().all(|line| line.contains(reason)), "{reason}: {out}");
        assert!(!out.contains(&self.secret[6..]), "{out}");
        for name in NAMES {
            let value = self.request.expect_header(name);
            assert!(!out.contains(&value[value.len() - 40..]), "it tells what would be right: {out}");
        }
    }
}

fn verify(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = program(folder);
    command.arg("verify").args(arguments);
    command
}

fn all_valid() -> String {
    NAMES.map(|name| format!("{name}: valid\n")).concat()
}

async fn delivery(mode: Mode) -> (Product, Receiver, Saved, i64) {
    let product = Product::start(mode).await;
    let receiver = Receiver::start().await;
    let hook = webhooks::create_generic(&product.admin(), &receiver.url("/in")).await;
    product.publisher().publish(events::run_completed(7, 42)).await.expect("an event that is accepted");
    let request = receiver.wait_for("/in", 1, SOON).await.remove(0);
    (product, receiver, Saved::new(request, &hook.secret), hook.id)
}

async fn a_real_delivery_verifies(mode: Mode) {
    let (_product, _receiver, saved, _) = delivery(mode).await;
    let header = |name| saved.request.expect_header(name);
    let own = ["--signature", header("x-testmo-signature-256")];
    let standard = [
        "--webhook-id",
        header("webhook-id"),
        "--webhook-timestamp",
        header("webhook-timestamp"),
        "--webhook-signature",
        header("webhook-signature"),
    ];
    let both = [&own[..], &standard].concat();
    let body = ["--body", "body"];
    for arguments in
        [&["--request", "request"][..], &["--headers", "headers", "--body", "body"], &[&both[..], &body].concat()]
    {
        assert_eq!(saved.verify_saved(arguments).await, (Some(0), all_valid(), String::new()), "{arguments:?}");
    }
    for (name, options) in [(NAMES[0], &own[..]), (NAMES[1], &standard)] {
        let told = saved.verify_saved(&[options, &body].concat()).await;
        assert_eq!(told, (Some(0), format!("{name}: valid\n"), String::new()));
    }
    // The body from standard input, the secret from the environment.
    let mut piped = verify(&saved.folder, &own);
    piped.env("TESTMO_WEBHOOKS_SECRET", &saved.secret);
    piped.stdin(Stdio::from(fs::File::open(saved.folder.join("body")).expect("the body")));
    assert_eq!(told(piped).await.0, Some(0));

    let (status, out, _) = saved.verify_saved(&["--request", "request", "--json"]).await;
    let expected = json!({"valid": true, "signatures": NAMES.map(|header| json!({"header": header, "valid": true}))});
    assert_eq!((status, serde_json::from_str::<Value>(&out).expect("JSON")), (Some(0), expected));

    the_mistake_is_told(&saved).await;
    saved.write("secret", "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
    saved.refuses(&["--request", "request"], "the body or the secret differs").await;
}

async fn the_mistake_is_told(saved: &Saved) {
    let other = ["--headers", "headers", "--body", "other"];
    let body = &saved.request.body[..];
    saved.write("other", [body, b"\n"].concat());
    saved.refuses(&other, "without the line break at its end the body fits").await;
    saved.write("other", [b"{\n    ", &body[1..]].concat());
    saved.refuses(&other, "it was reformatted").await;
    // Parsed and printed again, its members stand in another order.
    saved.write("other", saved.request.json().to_string());
    saved.refuses(&other, "sign the raw bytes as received, before any JSON parsing").await;

    let (status, out, _) = saved.verify_saved(&[&other[..], &["--json"]].concat()).await;
    let told: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((status, &told["valid"], &told["signatures"][1]["valid"]), (Some(1), &json!(false), &json!(false)));
    assert!(told["signatures"][0]["reason"].as_str().is_some_and(|reason| reason.contains("raw bytes")), "{told}");
    // One of two is not enough.
    saved.write("other", saved.head("\n").replace("v1,", "v2,"));
    let (status, out, _) = saved.verify_saved(&["--headers", "other", "--body", "body"]).await;
    assert_eq!((status, out.lines().next()), (Some(1), Some("X-Testmo-Signature-256: valid")), "{out}");
}

async fn either_secret_verifies_while_they_overlap(mode: Mode) {
    let (product, receiver, older, id) = delivery(mode).await;
    let answer = product.admin().post(&format!("/api/v1/webhooks/{id}/secret"), json!({"overlap_hours": 1})).await;
    let secret = answer.expect(200)["secret"].as_str().expect("a new secret").to_owned();
    product.publisher().publish(events::run_completed(7, 43)).await.expect("an event that is accepted");
    let request = receiver.wait_for("/in", 2, SOON).await.remove(1);
    let saved = Saved::new(request, &secret);
    assert_eq!(saved.verify_saved(&["--request", "request"]).await, (Some(0), all_valid(), String::new()));
    saved.write("secret", &older.secret);
    let (status, out, _) = saved.verify_saved(&["--request", "request"]).await;
    assert_eq!(status, Some(1), "{out}");
    assert!(
        out.contains("it may be the older one of a regenerated pair") && out.ends_with("webhook-signature: valid\n"),
        "{out}"
    );
}

/// The worked example of the scheme, computed by `openssl`, and sent years ago.
#[test]
fn a_saved_delivery_is_old() {
    run_test(async {
        let folder = run::folder("verify");
        fs::write(folder.join("secret"), "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").expect("a file");
        fs::write(folder.join("body"), "{\"a\":1}").expect("a file");
        let arguments = [
            "--secret-file=secret",
            "--body=body",
            "--webhook-id=11111111-2222-4333-8444-555555555555",
            "--webhook-timestamp=1700000000",
            "--webhook-signature=v1,other v1,VNHbOk94kLkjcUs6iMSxnLEwbauWBjjAg9ojFC2RYuk=",
        ];
        let (status, out, _) = told(verify(&folder, &arguments)).await;
        assert!(status == Some(1) && out.contains("s old; more than 300 s") && out.contains("--tolerance 0"), "{out}");
        let (status, out, err) = told(verify(&folder, &[&arguments[..], &["--tolerance=0"]].concat())).await;
        assert_eq!((status, out.as_str()), (Some(0), "webhook-signature: valid\n"), "{err}");
    });
}

#[test]
fn what_cannot_be_verified_is_no_bad_signature() {
    run_test(async {
        let folder = run::folder("verify");
        let write = |name: &str, text: &str| fs::write(folder.join(name), text).expect("a file in a new folder");
        write("secret", "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
        write("masked", "whsec_…Hh8=");
        write("body", "{}");
        write("headers", "Host: example.com\n");
        write("request", "webhook-id: a\n\n{}");
        let secret = "--secret-file=secret";
        for (arguments, expected) in [
            (&["--signature=sha256=00", "--body=body"][..], "TESTMO_WEBHOOKS_SECRET"),
            (&["--secret-file=missing", "--signature=sha256=00"], "cannot read the secret in missing"),
            (&["--secret-file=masked", "--signature=sha256=00"], "as it was shown when the webhook was made"),
            (&[secret, "--signature=sha256=00", "--body=missing"], "cannot read missing"),
            (&[secret, "--headers=headers", "--body=body"], "neither X-Testmo-Signature-256 nor webhook-signature"),
            (&[secret, "--headers=request", "--body=body"], "use --request"),
            (&[secret, "--request=headers"], "no empty line"),
            (&[secret], "--signature"),
            (&[secret, "--webhook-signature=v1,AA=="], "--webhook-id"),
            (&[secret, "--webhook-id=a", "--signature=sha256=00"], "--webhook-signature"),
            (&[secret, "--request=request", "--body=body"], "--body"),
            (&[secret, "--request=request", "--tolerance=soon"], "not a length of time"),
        ] {
            let (status, out, err) = told(verify(&folder, arguments)).await;
            assert_eq!((status, out.as_str()), (Some(2), ""), "{arguments:?}: {err}");
            assert!(err.contains(expected), "{arguments:?}: {err}");
        }
        // It has nothing to do with the configuration of a server.
        let mut command = verify(&folder, &[secret, "--signature=sha256=00", "--body=body"]);
        command.env("TESTMO_WEBHOOKS__LOG__FORMAT", "xml");
        let (status, out, err) = told(command).await;
        let expected = "X-Testmo-Signature-256: invalid: `sha256=` must be followed by 64 hex digits\n";
        assert_eq!((status, out.as_str(), err.as_str()), (Some(1), expected, ""));
    });
}
