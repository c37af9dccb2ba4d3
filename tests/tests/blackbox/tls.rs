//! TLS of every listener and every connection between the parts, in both modes.

use std::{sync::Arc, time::Duration};

use blackbox::{
    events, history, in_both_modes,
    product::{Mode, Preparation, Product, Service},
    publisher::Publisher,
    receiver::{Authority, Receiver},
    rest::Rest,
    servers::{self, Postgres, Rabbit},
    wait::eventually,
    webhooks,
};
use hyper::Method;

in_both_modes!(
    everything_is_encrypted_and_works,
    certificates_that_cannot_be_used_are_named,
    connections_that_never_speak_keep_nobody_waiting,
);

const SOON: Duration = Duration::from_secs(30);

fn authority() -> Arc<Authority> {
    Arc::new(Authority::new())
}

/// The servers behind it speak TLS as well, for as long as they are kept.
struct Behind {
    _postgres: Option<Postgres>,
    _rabbit: Option<Rabbit>,
}

async fn prepare(mode: Mode, authority: &Arc<Authority>) -> (Preparation, Behind) {
    let product = Product::prepare(mode).over_tls(authority);
    if mode == Mode::Embedded {
        return (product, Behind { _postgres: None, _rabbit: None });
    }
    let of = Arc::clone(authority);
    let (postgres, database, rabbit, host) = servers::blocking(move || {
        let (postgres, rabbit) = (Postgres::start_with_tls(&of), Rabbit::start_with_tls(&of));
        let (database, host) = (postgres.create_database(), rabbit.take_virtual_host());
        (postgres, database, rabbit, host)
    })
    .await;
    assert!(host.url.starts_with("amqps://"));
    let product = product.database(database).broker(host).set("broker.ca_file", &authority.file());
    (product, Behind { _postgres: Some(postgres), _rabbit: Some(rabbit) })
}

async fn everything_is_encrypted_and_works(mode: Mode) {
    let authority = authority();
    let (product, _behind) = prepare(mode, &authority).await;
    let product = product.start().await;
    let (rest, receiver) = (product.admin(), Receiver::start().await);
    let hook = webhooks::create_generic(&rest, &receiver.url("/in")).await;
    let id = product.publisher().publish(events::run_completed(1, 1)).await.expect("an accepted event");
    receiver.wait_for("/in", 1, SOON).await;
    history::wait_until_settled(&rest, hook.id, SOON).await;
    assert_eq!(history::all(&rest, hook.id).await[0].event(), id);
    if let Some(database) = product.database() {
        let plain = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                     WHERE NOT ssl AND backend_type = 'client backend'";
        assert_eq!(database.run(plain).await.trim(), "0", "connections in plain text");
    }
    // The browser is to keep its cookie for TLS.
    let form = format!("token={}", product.admin_token());
    let answer = rest.with_token(None).with_header("origin", &format!("https://{}", rest.address()));
    let answer = answer.post_raw("/sign-in", "application/x-www-form-urlencoded", form).await;
    let cookie = answer.headers.get("set-cookie").and_then(|cookie| cookie.to_str().ok()).unwrap_or_default();
    assert!(cookie.contains("; Secure"), "{} {cookie}", answer.status);
    let stranger = Authority::new();
    for service in mode.services() {
        let health = product.health(*service);
        assert_eq!(health.get("/readyz").await.status, 200);
        for other in [health.clone().over_tls(None), health.over_tls(Some(stranger.client()))] {
            other.try_send(Method::GET, "/readyz", None).await.expect_err("plain text, or a root that did not sign");
        }
    }
    let plain = product.publish_address().replace("https://", "http://");
    let publisher = Publisher::new(&plain, Some(product.publisher_token()));
    publisher.publish(events::run_completed(1, 2)).await.expect_err("plain text");
    let publisher =
        Publisher::over_tls(&product.publish_address(), Some(product.publisher_token()), Some(&stranger.pem()));
    publisher.publish(events::run_completed(1, 3)).await.expect_err("a root that did not sign");
}

async fn certificates_that_cannot_be_used_are_named(mode: Mode) {
    let authority = authority();
    let service = mode.services()[0];
    let keys =
        ["http.cert_file", "http.key_file", "grpc.cert_file", "grpc.key_file", "admin.cert_file", "admin.key_file"];
    for key in keys {
        let wrong = Product::prepare(mode).over_tls(&authority).set(key, "/etc/passwd");
        refuses(wrong, service, &[key, "in PEM"]).await;
        let missing = Product::prepare(mode).over_tls(&authority).set(key, "/no/such/file");
        refuses(missing, service, &[key, "/no/such/file"]).await;
        let alone = Product::prepare(mode).set(key, "/etc/passwd");
        refuses(alone, service, &[key.split('.').next().expect("a section"), "be set too"]).await;
    }
    let roots = Product::prepare(mode).over_tls(&authority).set("services.ca_file", "/etc/passwd");
    let roots = roots.set("traces.otlp_endpoint", "https://127.0.0.1:1");
    refuses(roots, service, &["services.ca_file", "in PEM"]).await;
}

async fn refuses(product: Preparation, service: Service, names: &[&str]) {
    let (status, output) = product.refuses(service, SOON).await;
    assert!(!status.success(), "{service} ended with {status}");
    for name in names {
        assert!(output.contains(name), "{service} does not name `{name}`:\n{output}");
    }
}

async fn connections_that_never_speak_keep_nobody_waiting(mode: Mode) {
    let authority = authority();
    let product = Product::prepare(mode).over_tls(&authority).start().await;
    let rest: Rest = product.admin();
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(tokio::net::TcpStream::connect(rest.address()).await.expect("it listens"));
    }
    eventually(SOON, "somebody else is answered", async || {
        (rest.try_send(Method::GET, "/api/v1/webhooks", None).await.ok()?.status == 200).then_some(())
    })
    .await;
    drop(silent);
}
