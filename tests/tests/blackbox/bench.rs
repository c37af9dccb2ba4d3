//! `testmo-webhooks bench`: what it says agrees with what there is to see.

use blackbox::{
    in_both_modes,
    product::{Mode, Product, Service},
    run,
};
use serde_json::Value;

use crate::command_line::told;

in_both_modes!(what_is_there_is_measured_and_left_as_it_was, what_is_started_is_measured_and_ended);

async fn what_is_there_is_measured_and_left_as_it_was(mode: Mode) {
    let product = Product::prepare(mode).set("delivery.retry_schedule", r#"["0s"]"#).start().await;
    let (rest, folder) = (product.admin(), run::folder("bench"));
    let token = |name: &str, text: &str| {
        let file = folder.join(name);
        std::fs::write(&file, text).expect("room for a token");
        file.display().to_string()
    };
    let (admin, publisher) = (token("admin", product.admin_token()), token("publisher", product.publisher_token()));
    let (address, grpc) = (rest.address().to_string(), product.publish_address());
    let common = ["bench", "--rest", &address, "--grpc", &grpc, "--token-file", &admin];
    let common = [&common[..], &["--publisher-token-file", &publisher, "--repeats", "2", "--json"]].concat();
    let scenario = ["--events", "50", "--rate", "100", "--fan-out", "2", "--others", "3", "--failing", "40"];
    let (status, out, err) = told(product.command(&[&common[..], &scenario].concat())).await;
    assert_eq!((status, err.as_str()), (Some(0), ""), "{out}");
    let report: Value = serde_json::from_str(&out).expect("JSON");
    let repeats = report["scenarios"][0]["repeats"].as_array().expect("a list");
    assert_eq!(repeats.len(), 2);
    for measured in repeats {
        assert_eq!(
            (&measured["events"], &measured["deliveries"], &measured["repeated"]),
            (&50.into(), &100.into(), &0.into())
        );
        // The last of them is due after 490 ms.
        let seconds = measured["seconds"].as_f64().expect("a number");
        assert!((0.49..30.0).contains(&seconds), "{seconds}");
        for latencies in ["received", "acknowledged"] {
            let of = |percentile: &str| measured[latencies][percentile].as_f64().expect("a number");
            assert!(of("p50_ms") > 0.0 && of("p50_ms") <= of("p99_ms") && of("p99_ms") < 30_000.0, "{measured}");
        }
    }
    // Its webhooks are gone, and their history says what was measured: of the first attempts some have failed.
    assert_eq!(rest.get("/api/v1/webhooks").await.json["total"], 0);
    let page = "/api/v1/webhooks/deliveries?status=failed&per_page=100";
    let failed = rest.get(page).await.json["result"].as_array().expect("a list").len();
    assert!((1..=100).contains(&failed), "{failed}");
}

async fn what_is_started_is_measured_and_ended(mode: Mode) {
    let mut command = std::process::Command::new(Service::Standalone.path());
    let folder = run::folder("bench");
    let (name, programs): (_, &[&str]) = match mode {
        Mode::Embedded => ("embedded", &["standalone"]),
        Mode::Distributed => (
            "distributed",
            &["postgres", "rabbitmq", "testmo-subscription", "testmo-history", "testmo-dispatcher", "testmo-ingest"],
        ),
    };
    command.args(["bench", "--mode", name, "--events", "200", "--repeats", "1", "--json"]).env("TMPDIR", &folder);
    let (status, out, err) = told(command).await;
    assert_eq!((status, err.as_str()), (Some(0), ""), "{out}");
    let report: Value = serde_json::from_str(&out).expect("JSON");
    let measured = &report["scenarios"][0]["repeats"][0];
    assert_eq!((&measured["deliveries"], &measured["repeated"]), (&200.into(), &0.into()));
    let used = measured["programs"].as_array().expect("a list");
    assert_eq!(used.iter().map(|used| used["program"].as_str().expect("a name")).collect::<Vec<_>>(), programs);
    for used in used {
        assert!(used["peak_bytes"].as_u64().is_some_and(|peak| peak > 5 << 20), "{used}");
    }
    assert!(measured["cpu_us_per_delivery"].as_f64().is_some_and(|cpu| cpu > 10.0), "{measured}");
    assert_eq!(std::fs::read_dir(&folder).expect("the folder").count(), 0, "its data are gone");
}
