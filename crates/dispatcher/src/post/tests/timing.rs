//! Where the time of attempts went, by what came of them.

use blackbox::receiver::{Answer, Authority};

use super::{
    connecting::{Answers, Networks, PUBLIC, guarded},
    *,
};

/// Which steps there were: looking up, connecting, TLS, the head of an answer; and whether the connection was reused.
fn steps(posted: &Posted) -> [bool; 5] {
    let Timings { dns, connect, tls, first_byte, total, reused } = posted.timings;
    let known = [dns, connect, tls].into_iter().flatten();
    let connected: Duration = known.sum();
    assert!(connected <= first_byte.unwrap_or(total) && first_byte.is_none_or(|first| first <= total), "{posted:?}");
    [dns.is_some(), connect.is_some(), tls.is_some(), first_byte.is_some(), reused]
}

const NOTHING: [bool; 5] = [false; 5];
const REUSED: [bool; 5] = [false, false, false, true, true];

#[tokio::test]
async fn the_steps_of_a_connection_belong_to_the_attempt_that_opened_it() {
    let receiver = Receiver::start().await;
    receiver.script("/slow", Answer::status(200).delay(Duration::from_millis(60)));
    let poster = poster(&["127.0.0.0/8"]);
    let url = |path: &str| format!("http://good.example:{}{path}", receiver.address().port());
    assert_eq!(steps(&post(&poster, &url("/")).await), [true, true, false, true, false]);
    let again = post(&poster, &url("/slow")).await;
    assert_eq!(steps(&again), REUSED);
    assert!(again.timings.first_byte >= Some(Duration::from_millis(60)), "{again:?}");
    assert_eq!(again.remote_address, Some(receiver.address()));
    assert_eq!(receiver.connections(), 1);
    // A literal address is not looked up, and has a connection of its own.
    assert_eq!(steps(&post(&poster, &receiver.url("/")).await), [false, true, false, true, false]);
}

#[tokio::test]
async fn a_tls_handshake_is_a_step() {
    let receiver = Receiver::start_tls(&Authority::new(), "127.0.0.1").await;
    let insecure = |url: String| Webhook::read(WebhookConfig { allow_insecure: true, ..config(&url) }).unwrap();
    let poster = poster(&["127.0.0.0/8"]);
    let webhook = insecure(format!("https://good.example:{}/", receiver.address().port()));
    let posted = post_to(&poster, &webhook).await;
    assert_eq!(steps(&posted), [true, true, true, true, false], "{posted:?}");
    assert!(posted.timings.tls > Some(Duration::ZERO), "{posted:?}");
    assert_eq!(steps(&post_to(&poster, &webhook).await), REUSED);
    // Its certificate is nobody's: the handshake fails, and took its time.
    assert_eq!(steps(&post(&poster, &receiver.url("/")).await), [false, true, true, false, false]);
    // It is no TLS at all.
    let (port, _connections) = endpoint(answer("200 OK", "")).await;
    let refused = post_to(&poster, &insecure(format!("https://127.0.0.1:{port}/"))).await;
    assert_eq!((steps(&refused), class(&refused)), ([false, true, true, false, false], Some(ErrorClass::Tls)));
}

#[tokio::test]
async fn what_did_not_happen_has_no_time() {
    let open = poster(&["127.0.0.0/8"]);
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let (silent, _connections) = endpoint(None).await;
    let (broken, _connections) = endpoint(Some(b"220 smtp.example ready\r\n".to_vec())).await;
    for (url, expected) in [
        ("http://nowhere.example/".to_owned(), [true, false, false, false, false]),
        ("http://private.example/".to_owned(), [true, false, false, false, false]),
        ("http://10.0.0.1/".to_owned(), NOTHING),
        ("http://localhost/".to_owned(), NOTHING),
        (format!("http://127.0.0.1:{free}/"), [false, true, false, false, false]),
        (format!("http://good.example:{silent}/"), [true, true, false, false, false]),
        (format!("http://good.example:{broken}/"), [true, true, false, false, false]),
    ] {
        // As it is without networks that are permitted.
        let closed = poster(&[]);
        let posted = post(if url.contains("localhost") { &closed } else { &open }, &url).await;
        assert!(posted.error.is_some() && posted.answer.is_none(), "{url}: {posted:?}");
        assert_eq!(steps(&posted), expected, "{url}: {posted:?}");
    }
    // It is known where it has got to, also by a name.
    let posted = post(&open, &format!("http://good.example:{silent}/")).await;
    assert_eq!(posted.remote_address.map(|address| address.port()), Some(silent));
}

#[tokio::test]
async fn a_connection_that_another_attempt_was_done_with_sooner_is_reused() {
    let networks = Networks::new().await;
    networks.receiver.script("/in", Answer::status(200).delay(Duration::from_millis(100)));
    // The second look-up never ends.
    let resolver = Answers::then_silence(&[PUBLIC.into()]);
    let poster = guarded(resolver);
    let url = networks.url();
    let (first, second) = tokio::join!(post(&poster, &url), async {
        networks.receiver.wait_for("/in", 1, Duration::from_secs(5)).await;
        post(&poster, &url).await
    });
    assert_eq!(steps(&first), [true, true, false, true, false]);
    assert_eq!(steps(&second), REUSED, "it did not wait for the look-up that was begun for it: {second:?}");
    assert_eq!(networks.receiver.connections(), 1);
}
