//! Those that are slow, or say nothing at all.

use std::time::Duration;

use blackbox::{
    abuser::{Tally, ask, linger},
    frames,
    load::open_loop,
};
use bytes::Bytes;
use futures::{
    FutureExt as _,
    future::{join, join_all},
};

use super::{Kind, Target};

/// Connections of each kind of slowness.
const SLOW: usize = 100;
/// Of idle ones.
const IDLE: usize = 10_000;
/// When a connection has to be closed on which nothing was said, and one of HTTP/2 that was only opened.
const UNHEARD: Duration = Duration::from_secs(15);
const UNANSWERING: Duration = Duration::from_secs(30);

pub(super) fn kinds() -> Vec<Kind> {
    vec![
        Kind {
            name: "slow heads and bodies, connections that say nothing",
            answers: &["408", "400", "closed"],
            refused: true,
            lasting: Some(SLOW * 6),
            abuse: |target, tally| slow(target, tally).boxed_local(),
        },
        Kind {
            name: "10,000 idle connections",
            answers: &["closed"],
            refused: true,
            lasting: Some(IDLE),
            abuse: |target, tally| idle(target, tally).boxed_local(),
        },
    ]
}

async fn slow(target: Target, tally: Tally) {
    let second = Duration::from_secs(1);
    let Target { http, grpc, admin, admin_token, .. } = &target;
    let drip = |address, begin: String| {
        let pieces = std::iter::once(Bytes::from(begin)).chain(std::iter::repeat(Bytes::from_static(b"a")));
        let tally = tally.clone();
        async move { tally.add(ask(address, pieces, second).await) }
    };
    let head = |path| format!("GET {path} HTTP/1.1\r\nhost: abuse\r\nx-slow: ");
    let body = format!(
        "POST /api/v1/webhooks HTTP/1.1\r\nhost: abuse\r\nauthorization: Bearer {admin_token}\r\n\
         content-type: application/json\r\ncontent-length: 1000\r\n\r\n"
    );
    let heads = (0..SLOW).map(|_| join(drip(*http, head("/")), drip(*admin, head("/livez"))));
    let bodies = (0..SLOW).map(|_| drip(*http, body.clone()));
    let silent = [*http, *admin].into_iter().flat_map(|address| std::iter::repeat_n(address, SLOW / 2));
    let silent = silent.map(|address| linger(address, Bytes::new(), UNHEARD, tally.clone()));
    let mute = (0..SLOW).map(|_| linger(*grpc, Bytes::new(), UNHEARD, tally.clone()));
    let opened = Bytes::from(frames::opening(1 << 16));
    let opened = (0..SLOW).map(|_| linger(*grpc, opened.clone(), UNANSWERING, tally.clone()));
    let silent = join(join_all(silent), join_all(mute));
    join(join(join_all(heads), join_all(bodies)), join(silent, join_all(opened))).await;
}

async fn idle(Target { http, grpc, .. }: Target, tally: Tally) {
    let address = |number: usize| if number.is_multiple_of(2) { http } else { grpc };
    let mut opened = Vec::new();
    open_loop(100, Duration::from_secs(1), Duration::ZERO, async |_, _| {
        for _ in 0..IDLE / 100 {
            let idle = linger(address(opened.len()), Bytes::new(), UNHEARD, tally.clone());
            opened.push(blackbox::spawn(idle));
        }
    })
    .await;
    join_all(opened).await;
}
