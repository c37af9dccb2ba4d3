//! The receiver answers as told and sees what was sent.

use std::time::{Duration, Instant};

use blackbox::{
    receiver::{Answer, Receiver},
    rest::Rest,
    run_test,
};
use hyper::Method;
use serde_json::json;

#[test]
fn records_what_was_sent() {
    run_test(async {
        let receiver = Receiver::start().await;
        let client = Rest::new(receiver.address(), Some("token"));
        let answer = client.post("/in?a=b", json!({"name": "ä"})).await;
        assert_eq!(answer.status, 200);
        let requests = receiver.wait_for("/in", 1, Duration::from_secs(5)).await;
        let request = &requests[0];
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/in"));
        assert_eq!(request.query.as_deref(), Some("a=b"));
        assert_eq!(request.expect_header("AUTHORIZATION"), "Bearer token");
        assert_eq!(&request.body[..], r#"{"name":"ä"}"#.as_bytes());
        assert_eq!(receiver.count("/other"), 0);
    });
}

#[test]
fn answers_by_script() {
    run_test(async {
        let receiver = Receiver::start().await;
        let client = Rest::new(receiver.address(), None);
        let busy = Answer::status(429).header("retry-after", "7").body("later");
        receiver.script("/in", [Answer::status(500), busy, Answer::status(204)]);
        let mut statuses = Vec::new();
        for _ in 0..4 {
            let answer = client.post("/in", json!({})).await;
            if answer.status == 429 {
                assert_eq!(answer.headers["retry-after"], "7");
                assert_eq!(&answer.bytes[..], b"later");
            }
            statuses.push(answer.status);
        }
        assert_eq!(statuses, [500, 429, 204, 204]);
    });
}

#[test]
fn delays_closes_and_misbehaves() {
    run_test(async {
        let receiver = Receiver::start().await;
        let client = Rest::new(receiver.address(), None);
        receiver.script("/late", Answer::status(200).delay(Duration::from_millis(300)));
        receiver.script("/gone", Answer::close());
        receiver.script("/raw", Answer::raw("HTTP/1.1 299 Odd\r\ncontent-length: 2\r\n\r\nok"));
        receiver.script("/nonsense", Answer::raw("this is not HTTP\r\n\r\n"));
        let start = Instant::now();
        assert_eq!(client.get("/late").await.status, 200);
        assert!(start.elapsed() >= Duration::from_millis(300));
        assert!(client.try_send(Method::GET, "/gone", None).await.is_err());
        assert_eq!(client.get("/raw").await.status, 299);
        assert!(client.try_send(Method::GET, "/nonsense", None).await.is_err());
        assert_eq!(receiver.count("/gone"), 1);
    });
}

#[test]
fn hangs_until_the_sender_gives_up() {
    run_test(async {
        let receiver = Receiver::start().await;
        let client = Rest::new(receiver.address(), None);
        receiver.script("/hang", Answer::hang());
        let request = client.try_send(Method::GET, "/hang", None);
        assert!(tokio::time::timeout(Duration::from_millis(300), request).await.is_err());
        assert_eq!(receiver.count("/hang"), 1);
    });
}

#[test]
fn is_quick_enough_for_the_load_tests() {
    run_test(async {
        const CONNECTIONS: usize = 8;
        const REQUESTS: usize = 500;
        let receiver = Receiver::start().await;
        let address = receiver.address();
        let start = Instant::now();
        let clients: Vec<_> = (0..CONNECTIONS).map(|_| blackbox::spawn(super::pipeline(address, REQUESTS))).collect();
        for client in clients {
            client.await.expect("a client that gets its answers");
        }
        let rate = (CONNECTIONS * REQUESTS) as f64 / start.elapsed().as_secs_f64();
        assert_eq!(receiver.count("/load"), CONNECTIONS * REQUESTS);
        println!("{rate:.0} requests a second");
        // Unoptimised, and beside other tests on two cores.
        assert!(rate > 2_000.0, "only {rate:.0} requests a second");
    });
}
