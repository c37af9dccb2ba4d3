//! Floods of HTTP/2 frames, each over a few connections at once.

use blackbox::{
    abuser::{Tally, flood},
    frames::{self, END_HEADERS, END_STREAM, frame, kind},
};
use futures::{FutureExt as _, future::join_all};

use super::{Kind, Target};

const CONNECTIONS: usize = 4;
/// Frames that are written at once.
const BATCH: u32 = 64;
const CHECK: &str = "/grpc.health.v1.Health/Check";
/// Streams that are opened where none may send anything.
const STREAMS: u32 = 5_000;

pub(super) fn kinds() -> Vec<Kind> {
    vec![
        Kind {
            name: "HTTP/2 to REST",
            answers: &["closed"],
            refused: true,
            lasting: None,
            abuse: |target, tally| flood(target.http, frames::opening(0), tally, |_| ping()).boxed_local(),
        },
        Kind {
            name: "rapid resets (CVE-2023-44487)",
            answers: &["GOAWAY", "closed"],
            refused: true,
            lasting: None,
            abuse: |target, tally| several(target, tally, 1 << 16, resets).boxed_local(),
        },
        Kind {
            name: "PING without end",
            answers: &["GOAWAY", "closed"],
            refused: true,
            lasting: None,
            abuse: |target, tally| several(target, tally, 1 << 16, |_| ping()).boxed_local(),
        },
        Kind {
            name: "SETTINGS without end",
            answers: &["GOAWAY", "closed"],
            refused: true,
            lasting: None,
            abuse: |target, tally| several(target, tally, 1 << 16, |_| settings()).boxed_local(),
        },
        Kind {
            name: "CONTINUATION without end",
            answers: &["GOAWAY", "RST", "closed"],
            refused: true,
            lasting: None,
            abuse: |target, tally| several(target, tally, 1 << 16, continuations).boxed_local(),
        },
        Kind {
            name: "empty DATA without end",
            answers: &["GOAWAY", "RST", "closed"],
            refused: true,
            lasting: None,
            abuse: |target, tally| several(target, tally, 1 << 16, empty).boxed_local(),
        },
        Kind {
            name: "5,000 streams, none of which may be answered (window of 0)",
            answers: &["GOAWAY", "RST", "closed"],
            refused: true,
            lasting: None,
            abuse: |target, tally| several(target, tally, 0, unanswerable).boxed_local(),
        },
    ]
}

async fn several(target: Target, tally: Tally, window: u32, more: fn(u32) -> Vec<u8>) {
    let one = |_| flood(target.grpc, frames::opening(window), tally.clone(), more);
    join_all((0..CONNECTIONS).map(one)).await;
}

/// The streams of a batch.
fn streams(batch: u32) -> impl Iterator<Item = u32> {
    (batch * BATCH..(batch + 1) * BATCH).map(|number| number * 2 + 1)
}

fn ping() -> Vec<u8> {
    frame(kind::PING, 0, 0, &[7; 8]).repeat(BATCH as usize)
}

fn settings() -> Vec<u8> {
    frame(kind::SETTINGS, 0, 0, &[]).repeat(BATCH as usize)
}

fn resets(batch: u32) -> Vec<u8> {
    let block = frames::call(CHECK, None);
    let reset = |stream| {
        [frame(kind::HEADERS, END_HEADERS, stream, &block), frame(kind::RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat()
    };
    streams(batch).flat_map(reset).collect()
}

fn continuations(batch: u32) -> Vec<u8> {
    if batch == 0 {
        return frame(kind::HEADERS, 0, 1, &frames::call(CHECK, None));
    }
    frame(kind::CONTINUATION, 0, 1, &frames::field("x-more", &"a".repeat(100)).repeat(100))
}

fn empty(batch: u32) -> Vec<u8> {
    if batch == 0 {
        return frame(kind::HEADERS, END_HEADERS, 1, &frames::call(CHECK, None));
    }
    frame(kind::DATA, 0, 1, &[]).repeat(BATCH as usize)
}

fn unanswerable(batch: u32) -> Vec<u8> {
    if batch * BATCH >= STREAMS {
        return Vec::new();
    }
    let block = frames::call(CHECK, None);
    let ask = |stream| {
        [frame(kind::HEADERS, END_HEADERS, stream, &block), frame(kind::DATA, END_STREAM, stream, &[0; 5])].concat()
    };
    streams(batch).flat_map(ask).collect()
}
