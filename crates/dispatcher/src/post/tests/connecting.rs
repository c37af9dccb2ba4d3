//! Where connections lead when names change their answers, and that no packet reaches an address that is not permitted.
//!
//! 127.0.0.1 plays the public Internet, by way of `allow_networks`; 127.0.0.3 on the same port is the private network.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, Ipv6Addr, TcpListener as Listener},
    process::Stdio,
    sync::Mutex,
};

use super::*;

pub(super) const PUBLIC: Ipv4Addr = Ipv4Addr::LOCALHOST;
const PRIVATE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

/// Answers of a name server to one question after the other; the last stands for all that follow. `None`: silence.
pub(super) struct Answers(Mutex<Vec<Option<Vec<IpAddr>>>>);

impl Answers {
    fn new(answers: &[&[IpAddr]]) -> Arc<Self> {
        let mut answers: Vec<_> = answers.iter().map(|addresses| Some(addresses.to_vec())).collect();
        answers.reverse();
        Arc::new(Self(Mutex::new(answers)))
    }

    /// This answer once, and silence from then on.
    pub(super) fn then_silence(answer: &[IpAddr]) -> Arc<Self> {
        Arc::new(Self(Mutex::new(vec![None, Some(answer.to_vec())])))
    }
}

#[async_trait]
impl Resolver for Answers {
    async fn resolve(&self, _: &str) -> std::io::Result<Vec<IpAddr>> {
        let answer = {
            let mut answers = self.0.lock().unwrap();
            if answers.len() > 1 { answers.pop() } else { answers.last().cloned() }
        };
        match answer.flatten() {
            Some(addresses) => Ok(addresses),
            None => std::future::pending().await,
        }
    }
}

/// A receiver on the public address, and a port of the same number on the private one.
pub(super) struct Networks {
    pub(super) receiver: Receiver,
    private: Listener,
}

impl Networks {
    pub(super) async fn new() -> Self {
        loop {
            let receiver = Receiver::start().await;
            // Somebody else may have it.
            if let Ok(private) = Listener::bind((PRIVATE, receiver.address().port())) {
                private.set_nonblocking(true).unwrap();
                return Self { receiver, private };
            }
        }
    }

    pub(super) fn url(&self) -> String {
        format!("http://changing.example:{}/in", self.receiver.address().port())
    }

    /// The kernel completes connections by itself: had there been one, it would wait here.
    fn private_is_untouched(&self) -> bool {
        untouched(&self.private)
    }
}

fn untouched(listener: &Listener) -> bool {
    listener.accept().is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

pub(super) fn guarded(resolver: Arc<Answers>) -> Poster {
    poster_with(&["127.0.0.1/32"], resolver, Arc::new(SystemClock))
}

fn refused_address(posted: &Posted) -> bool {
    class(posted) == Some(ErrorClass::AddressRefused) && posted.remote_address.is_none() && posted.answer.is_none()
}

#[tokio::test]
async fn the_private_port_would_be_reached_if_it_were_permitted() {
    let networks = Networks::new().await;
    let poster = poster_with(&["127.0.0.0/8"], Answers::new(&[&[PRIVATE.into()]]), Arc::new(SystemClock));
    assert_eq!(class(&post(&poster, &networks.url()).await), Some(ErrorClass::Timeout));
    assert!(!networks.private_is_untouched());
}

#[tokio::test]
async fn a_name_that_turns_private_is_refused_before_a_packet_is_sent() {
    let networks = Networks::new().await;
    let poster = guarded(Answers::new(&[&[PUBLIC.into()], &[PRIVATE.into()], &[PUBLIC.into()]]));
    // Each attempt on a connection of its own.
    let closing = blackbox::receiver::Answer::raw("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    networks.receiver.script("/in", closing);
    assert_eq!(class(&post(&poster, &networks.url()).await), None);
    let posted = post(&poster, &networks.url()).await;
    assert!(refused_address(&posted), "{posted:?}");
    assert!(posted.error.unwrap().1.contains("delivery.allow_networks"));
    assert!(networks.private_is_untouched());
    assert_eq!(class(&post(&poster, &networks.url()).await), None, "a refusal is not remembered");
    assert_eq!(networks.receiver.count("/in"), 2);
}

#[tokio::test]
async fn a_connection_that_is_kept_alive_goes_on_to_the_address_that_was_checked() {
    let networks = Networks::new().await;
    let poster = guarded(Answers::new(&[&[PUBLIC.into()], &[PRIVATE.into()]]));
    for _ in 0..3 {
        let posted = post(&poster, &networks.url()).await;
        assert_eq!(posted.remote_address, Some(networks.receiver.address()), "{posted:?}");
    }
    assert_eq!((networks.receiver.count("/in"), networks.receiver.connections()), (3, 1));
    assert!(networks.private_is_untouched());
}

#[tokio::test]
async fn one_address_that_is_not_permitted_refuses_the_name() {
    let (public, private) = (IpAddr::from(PUBLIC), IpAddr::from(PRIVATE));
    let v6 = |text: &str| text.parse::<IpAddr>().unwrap();
    let mut many = vec![public; 499];
    many.push(private);
    for answer in [
        vec![private],
        vec![public, private],
        vec![private, public],
        many,
        vec![public, v6("fd00::1")],
        // Nothing but AAAA.
        vec![v6("::1")],
        vec![v6("fd00::1")],
        vec![v6("fe80::1")],
        // 127.0.0.3 in other words: mapped, behind NAT64, by 6to4, compatible.
        vec![v6("::ffff:127.0.0.3")],
        vec![v6("64:ff9b::7f00:3")],
        vec![v6("2002:7f00:3::1")],
        vec![v6("::127.0.0.3")],
        vec![v6("64:ff9b:1::7f00:3")],
    ] {
        let networks = Networks::new().await;
        let posted = post(&guarded(Answers::new(&[&answer])), &networks.url()).await;
        assert!(refused_address(&posted), "{answer:?}: {posted:?}");
        assert_eq!(networks.receiver.connections(), 0, "{answer:?}");
        assert!(networks.private_is_untouched(), "{answer:?}");
    }
}

#[tokio::test]
async fn of_hundreds_of_addresses_a_few_are_dialled() {
    // Nobody listens there.
    let dead = |number: u16| IpAddr::from([127, 9, (number >> 8) as u8, (number & 0xff) as u8]);
    for (place, reached) in [(0, true), (2, true), (100, false), (499, false)] {
        let networks = Networks::new().await;
        let mut answer: Vec<IpAddr> = (1..=500).map(dead).collect();
        answer[place] = PUBLIC.into();
        // The few of one family do not crowd out the other.
        answer.push(Ipv6Addr::LOCALHOST.into());
        let poster = poster_with(&["127.0.0.0/8", "::1/128"], Answers::new(&[&answer]), Arc::new(SystemClock));
        let posted = post(&poster, &networks.url()).await;
        let expected = (!reached).then_some(ErrorClass::Connect);
        assert_eq!(class(&posted), expected, "at {place}: {posted:?}");
        assert_eq!(networks.receiver.connections(), usize::from(reached), "at {place}");
    }
}

#[tokio::test]
async fn both_families_are_dialled() {
    let networks = Networks::new().await;
    let mut answer = vec![IpAddr::from(Ipv6Addr::LOCALHOST); 500];
    answer.push(PUBLIC.into());
    let poster = poster_with(&["127.0.0.0/8", "::1/128"], Answers::new(&[&answer]), Arc::new(SystemClock));
    assert_eq!(class(&post(&poster, &networks.url()).await), None);
}

#[tokio::test]
async fn a_name_server_that_never_answers_costs_less_than_connecting_may() {
    let networks = Networks::new().await;
    let poster = guarded(Arc::new(Answers(Mutex::new(vec![None]))));
    let posted = post(&poster, &networks.url()).await;
    assert_eq!(class(&posted), Some(ErrorClass::Dns), "{posted:?}");
    assert!(posted.timings.total < Duration::from_millis(700), "{posted:?}");
}

/// Runs itself in a process with the variables that other HTTP clients look at.
#[tokio::test]
async fn proxies_of_the_environment_are_ignored() {
    const NAME: &str = "post::tests::connecting::proxies_of_the_environment_are_ignored";
    const TARGET: &str = "TESTMO_WEBHOOKS_TEST_TARGET";
    if let Ok(url) = std::env::var(TARGET) {
        let poster = guarded(Answers::new(&[&[PUBLIC.into()]]));
        assert_eq!(class(&post(&poster, &url).await), None);
        return;
    }
    let networks = Networks::new().await;
    let proxy = Listener::bind((PUBLIC, 0)).unwrap();
    proxy.set_nonblocking(true).unwrap();
    let mut child = tokio::process::Command::new(std::env::current_exe().unwrap());
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        child.env(name, format!("http://{}", proxy.local_addr().unwrap()));
    }
    child.env_remove("NO_PROXY").env_remove("no_proxy").env_remove("REQUEST_METHOD").env(TARGET, networks.url());
    let done = child.args(["--exact", NAME]).stdout(Stdio::piped()).output().await.unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && said.contains("1 passed"), "{said}");
    assert_eq!(networks.receiver.count("/in"), 1);
    assert!(untouched(&proxy));
}
