//! Attempts against real sockets: what each kind of endpoint comes to, and that nothing forbidden is ever dialled.

use std::{collections::HashMap, net::IpAddr};

use async_trait::async_trait;
use blackbox::receiver::Receiver;
use domain::{IdSource as _, ManualClock, Secret, SystemClock, SystemIds, TraceContext};
use proto::internal::v1::{SigningSecret, WebhookConfig};
use runtime::Resolver;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    sync::mpsc,
};

mod connecting;
mod timing;

use super::*;
use crate::{Settings, webhooks::Webhook};

/// Names with fixed addresses.
struct Names(HashMap<&'static str, Vec<&'static str>>);

#[async_trait]
impl Resolver for Names {
    async fn resolve(&self, host: &str) -> std::io::Result<Vec<IpAddr>> {
        let addresses = self.0.get(host).ok_or_else(|| std::io::Error::other("no such name"))?;
        Ok(addresses.iter().map(|address| address.parse().unwrap()).collect())
    }
}

/// An endpoint that answers every connection with the same bytes, and tells of each connection.
async fn endpoint(answer: Option<Vec<u8>>) -> (u16, mpsc::UnboundedReceiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (told, connections) = mpsc::unbounded_channel();
    runtime::Tasks::new().spawn("endpoint", async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = told.send(());
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer).await;
            if let Some(answer) = &answer {
                let _ = stream.write_all(answer).await;
                let _ = stream.shutdown().await;
            } else {
                // Says nothing, and does not go away.
                open.push(stream);
            }
        }
    });
    (port, connections)
}

fn poster(allowed: &[&str]) -> Poster {
    let names = Names(HashMap::from([
        ("good.example", vec!["127.0.0.1"]),
        ("mixed.example", vec!["127.0.0.1", "10.0.0.1"]),
        ("private.example", vec!["10.0.0.1"]),
    ]));
    poster_with(allowed, Arc::new(names), Arc::new(SystemClock))
}

fn poster_with(allowed: &[&str], resolver: Arc<dyn Resolver>, clock: Arc<dyn Clock>) -> Poster {
    let policy = AddressPolicy::new(allowed.iter().map(|network| network.parse().unwrap()).collect());
    let settings = Settings {
        policy: policy.clone(),
        extra_roots: None,
        timeout: Duration::from_millis(800),
        connect_timeout: Duration::from_millis(400),
        schedule: domain::RetrySchedule::default(),
        max_in_flight: 10,
        max_in_flight_slow: 5,
        max_in_flight_per_slow_webhook: 2,
        breaker_after: Duration::ZERO,
    };
    let clients = Clients::new(&settings, resolver).unwrap();
    Poster::new(clients, policy, settings.timeout, clock)
}

fn webhook(url: &str) -> Webhook {
    Webhook::read(config(url)).unwrap()
}

fn config(url: &str) -> WebhookConfig {
    let secret = SigningSecret { text: Secret::generate(&SystemIds).reveal().to_owned(), expires_at: None, id: 1 };
    WebhookConfig {
        id: 7,
        instance: "default".into(),
        active: true,
        r#type: "generic".into(),
        url: url.into(),
        events: vec!["run.created".into()],
        all_projects: true,
        secrets: vec![secret],
        ..Default::default()
    }
}

async fn post(poster: &Poster, url: &str) -> Posted {
    post_to(poster, &webhook(url)).await
}

async fn post_to(poster: &Poster, webhook: &Webhook) -> Posted {
    let body = Bytes::from_static(b"{}");
    let trace = TraceContext::fresh(&SystemIds);
    let letter = Letter { webhook, event_type: "run.created", delivery_id: SystemIds.uuid(), number: 2, body, trace };
    poster.post(&letter).await.unwrap()
}

fn class(posted: &Posted) -> Option<ErrorClass> {
    posted.error.as_ref().map(|(class, _)| *class)
}

fn answer(status: &str, body: &str) -> Option<Vec<u8>> {
    let length = body.len();
    Some(format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}").into_bytes())
}

#[tokio::test]
async fn each_kind_of_endpoint_gets_its_class() {
    let poster = poster(&["127.0.0.0/8"]);
    for (reply, expected) in [
        (answer("204 No Content", ""), None),
        (answer("302 Found", "elsewhere"), Some(ErrorClass::Redirect)),
        (answer("404 Not Found", "no"), Some(ErrorClass::ClientError)),
        (answer("429 Too Many Requests", ""), Some(ErrorClass::RateLimited)),
        (answer("500 Oops", ""), Some(ErrorClass::ServerError)),
        (Some(b"HTTP/1.1 410 Gone\r\ncontent-length: 9\r\n\r\nha".to_vec()), Some(ErrorClass::ClientError)),
        (Some(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nha".to_vec()), Some(ErrorClass::Protocol)),
        (Some(b"220 smtp.example ready\r\n".to_vec()), Some(ErrorClass::Protocol)),
        (Some(Vec::new()), Some(ErrorClass::Protocol)),
        (None, Some(ErrorClass::Timeout)),
    ] {
        let shown = reply.clone().map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let (port, _connections) = endpoint(reply).await;
        let posted = post(&poster, &format!("http://127.0.0.1:{port}/")).await;
        assert_eq!(class(&posted), expected, "{shown:?}: {:?}", posted.error);
        assert_eq!(posted.remote_address.map(|address| address.port()), Some(port), "{shown:?}");
        assert!(posted.timings.total < Duration::from_secs(3));
    }
}

#[tokio::test]
async fn what_comes_before_an_answer_is_bounded() {
    let poster = poster(&["127.0.0.0/8"]);
    let ok = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n";
    let informational = |count| "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(count);
    let headers = |count, length| format!("x: {}\r\n", "v".repeat(length)).repeat(count);
    for (reply, expected) in [
        (format!("{}{ok}\r\n", informational(32)), None),
        (format!("{}{ok}\r\n", informational(100)), Some(ErrorClass::Protocol)),
        (format!("{ok}{}\r\n", headers(90, 500)), None),
        (format!("{ok}{}\r\n", headers(90, 2_000)), Some(ErrorClass::Protocol)),
        (format!("{ok}{}\r\n", headers(200, 1)), Some(ErrorClass::Protocol)),
    ] {
        let (port, _connections) = endpoint(Some(reply.into_bytes())).await;
        let posted = post(&poster, &format!("http://127.0.0.1:{port}/")).await;
        assert_eq!(class(&posted), expected, "{:?}", posted.error);
        assert!(expected.is_none() || posted.answer.is_none());
    }
}

#[tokio::test]
async fn what_never_gets_through_gets_its_class() {
    let poster = poster(&["127.0.0.0/8"]);
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    assert_eq!(class(&post(&poster, &format!("http://127.0.0.1:{free}/")).await), Some(ErrorClass::Connect));
    assert_eq!(class(&post(&poster, "http://nowhere.example/").await), Some(ErrorClass::Dns));
    let (port, _connections) = endpoint(answer("200 OK", "")).await;
    assert_eq!(class(&post(&poster, &format!("https://127.0.0.1:{port}/")).await), Some(ErrorClass::Tls));
}

#[tokio::test]
async fn nothing_forbidden_is_dialled() {
    let (port, mut connections) = endpoint(answer("200 OK", "")).await;
    let closed = poster(&[]);
    let open = poster(&["127.0.0.0/8"]);
    for (poster, host) in [
        (&closed, "127.0.0.1"),
        (&closed, "[::ffff:127.0.0.1]"),
        (&closed, "localhost"),
        (&closed, "good.example"),
        (&open, "mixed.example"),
        (&open, "private.example"),
        (&open, "10.0.0.1"),
    ] {
        let posted = post(poster, &format!("http://{host}:{port}/")).await;
        assert_eq!(class(&posted), Some(ErrorClass::AddressRefused), "{host}: {:?}", posted.error);
        assert!(connections.try_recv().is_err(), "{host} was dialled");
    }
    assert_eq!(class(&post(&open, &format!("http://good.example:{port}/")).await), None);
    assert!(connections.try_recv().is_ok());
}

#[tokio::test]
async fn a_long_answer_is_cut() {
    let (port, _connections) = endpoint(answer("200 OK", &"x".repeat(200_000))).await;
    let posted = post(&poster(&["127.0.0.0/8"]), &format!("http://127.0.0.1:{port}/")).await;
    let answer = posted.answer.unwrap();
    assert_eq!((answer.body.len(), answer.truncated), (MAX_ANSWER, true));
    assert!(posted.error.is_none());
    let (port, _connections) = endpoint(super::tests::answer("200 OK", "short")).await;
    let posted = post(&poster(&["127.0.0.0/8"]), &format!("http://127.0.0.1:{port}/")).await;
    let answer = posted.answer.unwrap();
    assert_eq!((answer.body.as_slice(), answer.truncated), (&b"short"[..], false));
}

#[tokio::test]
async fn an_older_secret_signs_beside_the_current_one_until_it_expires() {
    const NOW: i64 = 1_700_000_000;
    let receiver = Receiver::start().await;
    let clock = Arc::new(ManualClock::new(Timestamp::from_micros(NOW * 1_000_000)));
    let secrets: Vec<Secret> = (0..3).map(|_| Secret::generate(&SystemIds)).collect();
    let signing = |index: usize, ends_in: Option<i64>| SigningSecret {
        text: secrets[index].reveal().to_owned(),
        expires_at: ends_in.map(|seconds| prost_types::Timestamp { seconds: NOW + seconds, nanos: 0 }),
        id: 7 - index as i64,
    };
    let webhook = Webhook::read(WebhookConfig {
        secrets: vec![signing(0, None), signing(1, Some(60)), signing(2, Some(30))],
        ..config(&receiver.url("/"))
    })
    .unwrap();
    let poster = poster_with(&["127.0.0.0/8"], Arc::new(Names(HashMap::new())), Arc::clone(&clock) as Arc<dyn Clock>);
    for (advance, signers) in [(0, 3), (29, 3), (1, 2), (29, 2), (1, 1), (10_000_000, 1)] {
        clock.advance(Duration::from_secs(advance));
        let posted = post_to(&poster, &webhook).await;
        assert!(posted.error.is_none());
        assert_eq!(posted.secret_ids, [7, 6, 5][..signers]);
        let request = receiver.requests("/").pop().unwrap();
        let id: Uuid = request.expect_header("webhook-id").parse().unwrap();
        assert_eq!(request.expect_header("webhook-timestamp"), clock.now().as_seconds().to_string());
        let signatures: Vec<&str> = request.expect_header("webhook-signature").split(' ').collect();
        let expected: Vec<String> =
            secrets[..signers].iter().map(|secret| secret.sign_standard(id, clock.now(), &request.body)).collect();
        assert_eq!(signatures, expected, "the current one first");
        assert_eq!(request.expect_header("x-testmo-signature-256"), secrets[0].sign_body(&request.body));
    }
}
