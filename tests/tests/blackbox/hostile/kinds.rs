//! The ways in which receivers misbehave, and what an attempt at each comes to.

use std::{process::Command, time::Duration};

use blackbox::receiver::Answer;

/// Where something listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    /// HTTP in plain text.
    Plain,
    /// TLS, with a certificate by an authority that the product trusts.
    Tls,
    /// The certificate is by an authority that nobody knows.
    SelfSigned,
    /// Trusted, but it expired years ago.
    Expired,
    /// Trusted, but for another host.
    WrongHost,
    /// A TLS handshake that is never answered.
    Silent,
    /// Plain text where TLS is expected.
    PlainOnTls,
    /// Nobody accepts.
    Deaf,
    /// Nobody listens.
    Closed,
}

/// One way to misbehave.
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) at: At,
    pub(super) answer: Answer,
    /// Whether its webhooks permit self-signed certificates.
    pub(super) insecure: bool,
    /// The class of the error; empty: delivered.
    pub(super) class: &'static str,
    /// The status on record.
    pub(super) code: Option<i64>,
    /// Whether the body on record is marked as cut.
    pub(super) cut: bool,
    /// The body on record, byte for byte, where that matters.
    pub(super) body: Option<Vec<u8>>,
}

impl Kind {
    fn plain(name: &'static str, answer: Answer, class: &'static str, code: Option<i64>) -> Self {
        Self { name, at: At::Plain, answer, insecure: true, class, code, cut: false, body: None }
    }

    /// It never gets to an answer, unless it is delivered.
    fn at(name: &'static str, at: At, insecure: bool, class: &'static str) -> Self {
        let code = class.is_empty().then_some(200);
        Self { name, at, answer: Answer::status(200), insecure, class, code, cut: false, body: None }
    }

    fn keeps(mut self, body: &[u8]) -> Self {
        self.body = Some(body.to_vec());
        self
    }

    fn cut(mut self) -> Self {
        self.cut = true;
        self
    }

    /// Whether it is tried again.
    pub(super) fn is_repeated(&self) -> bool {
        !self.class.is_empty()
    }
}

/// Between the pieces of what never ends: a receiver that floods is limited by its line, and here by this, so that not
/// the test itself takes all of the machine.
const BREATH: Duration = Duration::from_millis(2);

fn flood(head: &str, piece: impl Into<Vec<u8>>) -> Answer {
    Answer::endless(head, piece, BREATH)
}

fn trickle(head: &str, piece: &str) -> Answer {
    Answer::endless(head, piece, Duration::from_millis(300))
}

/// 16 MiB of zeros, compressed to 16 KiB.
fn gzip_bomb() -> Vec<u8> {
    let command = "head -c 16777216 /dev/zero | gzip -9";
    Command::new("sh").args(["-c", command]).output().expect("sh, head and gzip").stdout
}

/// All of them.
pub(super) fn all() -> Vec<Kind> {
    let mut kinds = heads();
    kinds.extend(bodies());
    kinds.extend(statuses());
    kinds.extend(connections());
    kinds
}

/// What is wrong comes before the body.
fn heads() -> Vec<Kind> {
    let protocol = |name, answer| Kind::plain(name, answer, "protocol", None);
    let ok = "HTTP/1.1 200 OK\r\n";
    let raw = |text: &str| Answer::raw(format!("{text}\r\n\r\n"));
    let numbered = |count: usize, length: usize| {
        let header = |number| format!("x-{number}: {}\r\n", "v".repeat(length));
        (0..count).map(header).collect::<String>()
    };
    vec![
        protocol("endless-headers", flood(ok, numbered(50, 20))),
        protocol("endless-header-line", flood("HTTP/1.1 200 OK\r\nx-long: ", vec![b'x'; 16 << 10])),
        protocol("huge-headers", Answer::raw(format!("{ok}{}\r\n", numbered(99, 4_000)))),
        protocol("endless-status-line", flood("HTTP/1.1 200 ", vec![b'x'; 16 << 10])),
        Kind::plain("trickling-headers", trickle(ok, "x: y\r\n"), "timeout", None),
        Kind::plain("trickling-status-line", trickle("HTTP/1.1 200 ", "x"), "timeout", None),
        Kind::plain("half-a-head", Answer::raw_then_hang(format!("{ok}{}", numbered(15, 4_000))), "timeout", None),
        protocol("closed-within-head", Answer::raw(ok)),
        protocol("http-0.9", Answer::raw("<html>hello</html>\n")),
        protocol("status-line-garbage", raw("HTTP/1.1 abc OK")),
        protocol("version-garbage", raw("HTTP/9.9 200 OK")),
        protocol("status-too-small", raw("HTTP/1.1 099 Low")),
        protocol("header-without-colon", raw("HTTP/1.1 200 OK\r\nnonsense")),
        protocol("nul-in-header", raw("HTTP/1.1 200 OK\r\nx: a\0b")),
        protocol("two-lengths", raw("HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 5")),
        protocol("negative-length", raw("HTTP/1.1 200 OK\r\ncontent-length: -1")),
        protocol("overflowing-length", raw("HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999")),
        protocol("storm-of-100", flood("", "HTTP/1.1 100 Continue\r\n\r\n".repeat(400))),
        protocol("storm-of-103", flood("", "HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n".repeat(200))),
        Kind::plain("slow-storm", trickle("", "HTTP/1.1 102 Processing\r\n\r\n"), "timeout", None),
    ]
}

/// What is wrong is the body, or comes after it.
fn bodies() -> Vec<Kind> {
    const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let delivered = |name, answer| Kind::plain(name, answer, "", Some(200));
    let protocol = |name, answer| Kind::plain(name, answer, "protocol", Some(200));
    let page = || vec![b'x'; 16 << 10];
    let chunk = [b"4000\r\n".to_vec(), page(), b"\r\n".to_vec()].concat();
    let bomb = gzip_bomb();
    let bomb_head = format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n", bomb.len());
    vec![
        delivered("endless-body", flood("HTTP/1.1 200 OK\r\n\r\n", page())).cut(),
        delivered("endless-chunks", flood(CHUNKED, chunk)).cut(),
        delivered("100-mb", flood("HTTP/1.1 200 OK\r\ncontent-length: 104857600\r\n\r\n", page())).cut(),
        Kind::plain("endless-500", flood("HTTP/1.1 500 Oops\r\n\r\n", page()), "server_error", Some(500)).cut(),
        delivered("gzip-bomb", Answer::raw([bomb_head.as_bytes(), &bomb].concat())).keeps(&bomb),
        delivered("not-utf-8", Answer::status(200).body(vec![0xff; 999])).keeps(&[0xff; 999]),
        Kind::plain(
            "a-byte-at-a-time",
            trickle("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n", "x"),
            "timeout",
            Some(200),
        ),
        protocol("short-body", Answer::raw("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nshort")),
        protocol("reset-within-body", Answer::raw_then_reset("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nshort")),
        protocol("chunk-size-garbage", Answer::raw(format!("{CHUNKED}zz\r\n\r\n"))),
        protocol("chunk-size-overflow", Answer::raw(format!("{CHUNKED}fffffffffffffffff\r\n"))),
        protocol("endless-chunk-extension", flood(&format!("{CHUNKED}1;"), page())),
        protocol("endless-trailers", flood(&format!("{CHUNKED}0\r\n"), "x: y\r\n".repeat(100))),
    ]
}

/// Well-formed answers that are no good.
fn statuses() -> Vec<Kind> {
    let to = |status: u16, location: &str| Answer::status(status).header("location", location);
    vec![
        Kind::plain("to-metadata", to(302, "http://169.254.169.254/latest/meta-data/"), "redirect", Some(302)),
        Kind::plain("to-itself", to(307, super::FOLLOWED), "redirect", Some(307)),
        Kind::plain(
            "switching",
            Answer::raw("HTTP/1.1 101 Switching Protocols\r\n\r\n"),
            "unexpected_status",
            Some(101),
        ),
        Kind::plain("status-999", Answer::status(999), "unexpected_status", Some(999)),
    ]
}

/// What is wrong is the connection.
fn connections() -> Vec<Kind> {
    vec![
        Kind::plain("hangs", Answer::hang(), "timeout", None),
        Kind::plain("closes", Answer::close(), "protocol", None),
        Kind::plain("resets", Answer::raw_then_reset(""), "protocol", None),
        Kind::at("healthy-tls", At::Tls, false, ""),
        Kind::at("self-signed", At::SelfSigned, false, "tls"),
        Kind::at("expired", At::Expired, false, "tls"),
        Kind::at("wrong-host", At::WrongHost, false, "tls"),
        Kind::at("self-signed-permitted", At::SelfSigned, true, ""),
        Kind::at("expired-permitted", At::Expired, true, ""),
        Kind::at("wrong-host-permitted", At::WrongHost, true, ""),
        Kind::at("silent-handshake", At::Silent, false, "timeout"),
        Kind::at("plain-text-on-tls-port", At::PlainOnTls, false, "tls"),
        Kind::at("nobody-accepts", At::Deaf, true, "timeout"),
        Kind::at("nobody-listens", At::Closed, true, "connect"),
    ]
}
