//! A program that can't work says so at once: which key or thing, and what to do.

use std::{net::TcpListener, time::Duration};

use blackbox::{
    in_both_modes, ports,
    product::{Mode, Preparation, Product, Service},
    run_test,
};

in_both_modes!(mistakes_in_the_configuration_are_named, an_address_in_use_is_named);

const SECONDS: Duration = Duration::from_secs(20);

/// A product that is not to get as far as its servers, so that none are made for it.
fn prepare(mode: Mode) -> Preparation {
    let preparation = Product::prepare(mode);
    match mode {
        Mode::Embedded => preparation,
        Mode::Distributed => preparation
            .set("database.url", "postgres://testmo@127.0.0.1:1/none")
            .set("broker.url", "amqp://guest:guest@127.0.0.1:1/none"),
    }
}

/// Panics unless `service` refuses to start, with a status and a text that has all of `names`.
async fn refuses(preparation: Preparation, service: Service, names: &[&str]) -> String {
    let (status, output) = preparation.refuses(service, SECONDS).await;
    assert!(status.code().is_some_and(|code| code != 0), "{service} ended with {status}\n{output}");
    for name in names {
        assert!(output.contains(name), "{service} does not name `{name}`:\n{output}");
    }
    assert!(!output.contains("panicked"), "{service} panicked:\n{output}");
    output
}

async fn mistakes_in_the_configuration_are_named(mode: Mode) {
    for service in mode.services() {
        let unknown = prepare(mode).set("delivery.tiemout", "5s");
        refuses(unknown, *service, &["delivery.tiemout"]).await;
        let section = prepare(mode).set("delivrey.timeout", "5s");
        refuses(section, *service, &["delivrey"]).await;
        let value = prepare(mode).set("delivery.timeout", "soon");
        refuses(value, *service, &["delivery.timeout", "soon"]).await;
        let list = prepare(mode).set("delivery.allow_networks", r#"["10.0.0.0/99"]"#);
        refuses(list, *service, &["delivery.allow_networks", "10.0.0.0/99"]).await;
        let collector = prepare(mode).set("traces.otlp_endpoint", "collector:4317");
        refuses(collector, *service, &["traces.otlp_endpoint", "collector:4317", "must look like http://"]).await;
        refuses(prepare(mode).set("traces.ratio", "1.5"), *service, &["traces.ratio", "from 0 to 1"]).await;
    }
}

async fn an_address_in_use_is_named(mode: Mode) {
    let taken = TcpListener::bind(("127.0.0.1", ports::free())).expect("a port that was free just now");
    let address = taken.local_addr().expect("the address just bound").to_string();
    let service = mode.services()[0];
    refuses(prepare(mode).set("http.listen", &address), service, &["http.listen", &address]).await;
}

#[test]
fn an_unreachable_database_is_named() {
    run_test(async {
        let address = format!("127.0.0.1:{}", ports::free());
        let url = format!("postgres://testmo:hunter2@{address}/testmo");
        for service in [Service::Subscription, Service::History] {
            let preparation = prepare(Mode::Distributed).set("database.url", &url);
            let output = refuses(preparation, service, &["database", &address]).await;
            assert!(!output.contains("hunter2"), "the password is shown:\n{output}");
        }
    });
}

#[test]
fn what_a_service_cannot_do_without_is_named() {
    run_test(async {
        for (service, key) in [
            (Service::Subscription, "database.url"),
            (Service::Subscription, "secrets.key_file"),
            (Service::History, "database.url"),
            (Service::Dispatcher, "broker.url"),
            (Service::Dispatcher, "services.subscription"),
            (Service::Ingest, "broker.url"),
        ] {
            refuses(prepare(Mode::Distributed).unset(key), service, &[key]).await;
        }
        let file = "/nowhere/key";
        let preparation = prepare(Mode::Distributed).set("secrets.key_file", file);
        refuses(preparation, Service::Subscription, &["secrets.key_file", file]).await;
    });
}
