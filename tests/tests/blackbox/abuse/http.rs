//! Requests of HTTP/1.1 that are too much of something.

use std::{iter, net::SocketAddr, time::Duration};

use blackbox::{
    abuser::{Tally, ask},
    events,
    publisher::Publisher,
};
use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress};
use futures::FutureExt as _;
use proto::v1::Event;

use super::{Kind, Target};

pub(super) fn kinds() -> Vec<Kind> {
    vec![
        Kind {
            name: "bodies far over the limit, with and without length",
            answers: &["413", "405"],
            refused: true,
            lasting: None,
            abuse: |target, tally| bodies(target, tally).boxed_local(),
        },
        Kind {
            name: "heads, URLs and queries over the limit",
            answers: &["431", "414"],
            refused: true,
            lasting: None,
            abuse: |target, tally| heads(target, tally).boxed_local(),
        },
        Kind {
            name: "JSON deeply nested, with many keys, with long numbers",
            answers: &["400", "413", "422", "grpc-status 3", "accepted"],
            refused: true,
            lasting: None,
            abuse: |target, tally| json(target, tally).boxed_local(),
        },
        Kind {
            name: "compressed bodies that stand for 1 GiB",
            answers: &["415"],
            refused: true,
            lasting: None,
            abuse: |target, tally| bombs(target, tally).boxed_local(),
        },
    ]
}

/// The head of a POST, without the empty line.
fn post(target: &Target, path: &str, more: &str) -> String {
    let token = &target.admin_token;
    format!(
        "POST {path} HTTP/1.1\r\nhost: abuse\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n{more}"
    )
}

async fn send(address: SocketAddr, pieces: impl Iterator<Item = Bytes>, tally: &Tally) {
    tally.add(ask(address, pieces, Duration::ZERO).await);
}

/// Sends a body as a whole.
async fn send_whole(target: &Target, more: &str, body: &[u8], tally: &Tally) {
    let head = post(target, "/api/v1/webhooks", &format!("{more}content-length: {}\r\n\r\n", body.len()));
    send(target.http, iter::once([head.as_bytes(), body].concat().into()), tally).await;
}

async fn bodies(target: Target, tally: Tally) {
    let filling = Bytes::from(vec![b'x'; 1 << 16]);
    let chunk = Bytes::from([b"10000\r\n".as_slice(), &filling, b"\r\n"].concat());
    loop {
        for (address, path) in [(target.http, "/api/v1/webhooks"), (target.admin, "/livez")] {
            let known = post(&target, path, "content-length: 4294967296\r\n\r\n");
            send(address, iter::once(known.into()).chain(iter::repeat(filling.clone())), &tally).await;
            let endless = post(&target, path, "transfer-encoding: chunked\r\n\r\n");
            send(address, iter::once(endless.into()).chain(iter::repeat(chunk.clone())), &tally).await;
        }
    }
}

async fn heads(target: Target, tally: Tally) {
    let long = "a".repeat(100_000);
    let heads = [
        format!("GET / HTTP/1.1\r\nhost: abuse\r\nx-long: {long}{long}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nhost: abuse\r\n{}\r\n", "x-many: 1\r\n".repeat(200)),
        format!("GET /{long} HTTP/1.1\r\nhost: abuse\r\n\r\n"),
        format!("GET /api/v1/webhooks?q={long} HTTP/1.1\r\nhost: abuse\r\n\r\n"),
    ];
    let endless = Bytes::from("GET / HTTP/1.1\r\nx: ");
    loop {
        for address in [target.http, target.admin] {
            for head in &heads {
                send(address, iter::once(Bytes::from(head.clone())), &tally).await;
            }
            send(address, iter::once(endless.clone()).chain(iter::repeat(Bytes::from(long.clone()))), &tally).await;
        }
    }
}

async fn json(target: Target, tally: Tally) {
    let keys = |count: usize| {
        let members: Vec<_> = (0..count).map(|number| format!("\"{number}\":0")).collect();
        format!("{{{}}}", members.join(","))
    };
    let nested = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let digits = format!("{{\"projects\":[{}]}}", "9".repeat(100_000));
    let bodies = [nested, keys(20_000), keys(1_000_000), digits];
    let publisher = Publisher::new(&format!("http://{}", target.grpc), Some(&target.publisher_token));
    loop {
        for body in &bodies {
            send_whole(&target, "", body.as_bytes(), &tally).await;
            if body.len() < 250_000 {
                // Nobody has chosen these events.
                let event = Event { extra_json: body.clone(), ..events::run_created(events::PROJECT, 1) };
                let answer = publisher.publish(event).await;
                let code = answer.err().map(|status| i32::from(status.code()));
                tally.add(code.map_or_else(|| "accepted".to_owned(), |code| format!("grpc-status {code}")));
            }
        }
    }
}

async fn bombs(target: Target, tally: Tally) {
    let bomb = bomb();
    loop {
        for coding in ["gzip", "deflate", "br"] {
            send_whole(&target, &format!("content-encoding: {coding}\r\n"), &bomb, &tally).await;
        }
    }
}

/// 1 GiB of zeros, compressed: after a full flush each part stands by itself, so that one will do for all.
pub(super) fn bomb() -> Vec<u8> {
    let mut part = Vec::with_capacity(1 << 16);
    let zeros = vec![0; 8 << 20];
    let written = Compress::new(Compression::fast(), false).compress_vec(&zeros, &mut part, FlushCompress::Full);
    written.expect("room for a few kilobytes");
    let head = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    [&head[..], &part.repeat(128), &[3, 0], &[0; 8]].concat()
}
