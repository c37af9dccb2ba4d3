//! Nothing is sent into networks that the operator has not opened.

use std::time::Duration;

use blackbox::{
    events, history, in_both_modes,
    product::{Mode, Product},
    receiver::Receiver,
    webhooks,
};

in_both_modes!(private_targets_are_refused_when_saved, a_target_is_checked_again_at_each_attempt);

const SOON: Duration = Duration::from_secs(20);

async fn private_targets_are_refused_when_saved(mode: Mode) {
    let product = Product::prepare(mode).unset("delivery.allow_networks").start().await;
    let rest = product.admin();
    for host in [
        "127.0.0.1",
        "localhost",
        "localhost.",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "127.1",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "168.63.129.16",
        "100.64.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "[::1]",
        "[::]",
        "[fc00::1]",
        "[fe80::1]",
        "[ff02::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "１２７.０.０.１",
    ] {
        for scheme in ["http", "https"] {
            let url = format!("{scheme}://{host}:8080/in");
            println!("{url}");
            rest.post("/api/v1/webhooks", webhooks::generic(&url)).await.expect_error(422, None, &["url"]);
        }
    }
    let unknown = webhooks::generic("https://no-such-host.invalid/in");
    rest.post("/api/v1/webhooks", unknown).await.expect_error(422, None, &["url"]);
    assert_eq!(rest.get("/api/v1/webhooks").await.json["total"], 0);
}

async fn a_target_is_checked_again_at_each_attempt(mode: Mode) {
    let mut product = Product::start(mode).await;
    let receiver = Receiver::start().await;
    let hook = webhooks::create_generic(&product.admin(), &receiver.url("/in")).await;
    product.reconfigure("delivery.allow_networks", r#"["192.0.2.0/24"]"#);
    product.kill_all();
    product.start_all().await;
    let rest = product.admin();
    let event = events::run_completed(1, 1);
    product.publisher().publish_all(&[event], 1, SOON).await;
    history::wait_until_settled(&rest, hook.id, SOON).await;
    let entries = blackbox::wait::eventually(SOON, "an entry for the attempt", async || {
        Some(history::page(&rest, hook.id, "status=failed").await).filter(|entries| !entries.is_empty())
    })
    .await;
    assert_eq!(entries.len(), 1, "a permanent failure: {entries:?}");
    assert_eq!((entries[0].attempt(), entries[0].response_code()), (1, None), "{entries:?}");
    assert!(entries[0].error().contains("127.0.0.1"), "the error does not name the address: {}", entries[0].0);
    assert_eq!((receiver.count("/in"), receiver.connections()), (0, 0), "somebody has connected");
}
