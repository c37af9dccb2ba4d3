//! How long the console's pages take with a thousand webhooks and a million entries: from the request until the page has
//! come, over a connection of its own each time. It takes some minutes in each mode and wants a machine of its own:
//!
//! ```sh
//! cargo build --release --workspace --bins --all-features
//! cargo bench -p blackbox --all-features --bench console [-- embedded | -- distributed]
//! ```
//!
//! `CONSOLE_WEBHOOKS` (default 1000), `CONSOLE_ENTRIES` (default 1000000), `CONSOLE_ROUNDS` (default 300).

use std::time::Instant;

use blackbox::{
    product::{Mode, Product},
    webhooks,
};
use hyper::{Method, header};
use serde_json::json;

/// Rounds that are not measured.
const WARM_UP: u32 = 20;

fn main() {
    for mode in Mode::asked() {
        blackbox::run_test(measure(mode));
    }
}

fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

async fn measure(mode: Mode) {
    let count = from_environment("CONSOLE_WEBHOOKS", 1000);
    let entries = from_environment("CONSOLE_ENTRIES", 1_000_000);
    let product = Product::start(mode).await;
    let rest = product.admin();
    for number in 1..=count {
        let mut body = webhooks::generic(&format!("http://127.0.0.1:9/{number}"));
        body["name"] = json!(format!("Webhook {number}"));
        webhooks::create(&rest, body).await;
    }
    product.fill_history(entries, count).await;
    println!("{mode:?}: {count} webhooks, {entries} entries; times in ms");

    let form = format!("token={}&next=/", product.admin_token());
    let signed_in = rest
        .with_token(None)
        .send(Method::POST, "/sign-in", Some(("application/x-www-form-urlencoded", form.into())))
        .await;
    let cookie =
        signed_in.headers[header::SET_COOKIE].to_str().expect("a cookie").split(';').next().unwrap_or_default();
    let browser = rest.with_token(None).with_header("cookie", cookie).with_header("accept-encoding", "gzip");
    let newest = rest.get("/api/v1/webhooks/7/deliveries?per_page=15").await.expect(200);
    let delivery = format!("/deliveries/{}", newest[0]["delivery_id"].as_str().expect("a delivery"));
    let pages = [
        "/",
        "/?page=20",
        "/?q=Webhook+777",
        "/webhooks/7",
        "/webhooks/7/deliveries",
        "/webhooks/7/deliveries?status=failed",
        &delivery,
        "/deliveries",
        "/settings",
    ];
    for path in pages {
        // As a service that has run for a while: some plans of the database are made once for each connection.
        for _ in 0..WARM_UP {
            browser.get(path).await;
        }
        let (mut times, mut bytes) = (Vec::new(), 0);
        for _ in 0..from_environment("CONSOLE_ROUNDS", 300) {
            let asked = Instant::now();
            let page = browser.get(path).await;
            times.push(asked.elapsed().as_secs_f64() * 1e3);
            assert_eq!(page.status, 200, "{path}");
            bytes = page.bytes.len();
        }
        times.sort_by(f64::total_cmp);
        let at = |percent: usize| times[(times.len() - 1) * percent / 100];
        println!("  p50 {:6.1}  p99 {:6.1}  most {:6.1}  {bytes:7} bytes  {path}", at(50), at(99), at(100));
    }
}
