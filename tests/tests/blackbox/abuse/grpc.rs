//! Calls of gRPC whose messages are too much.

use std::{convert::Infallible, time::Duration};

use blackbox::{
    abuser::{Tally, call},
    load::open_loop,
};
use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _, future::join_all, stream};
use http_body_util::{Full, StreamBody};
use hyper::{
    Request,
    body::{Body, Frame},
    header::HeaderValue,
};

use super::{Kind, SOON, Target, http::bomb};

const PUBLISH: &str = "/testmo.webhooks.v1.Events/Publish";
/// Messages that do not end, at once; together they would be 470 MiB.
const HOARD: usize = 60;
const PIECE: usize = 1 << 16;
const PIECES: usize = 120;

pub(super) fn kinds() -> Vec<Kind> {
    vec![
        Kind {
            name: "gRPC messages that say they are 4 GB or 64 MB",
            answers: &["grpc-status 11", "grpc-status 8"],
            refused: true,
            lasting: None,
            abuse: |target, tally| lengths(target, tally).boxed_local(),
        },
        Kind {
            name: "gRPC messages that stand for 1 GiB",
            answers: &["grpc-status 12"],
            refused: true,
            lasting: None,
            abuse: |target, tally| compressed(target, tally).boxed_local(),
        },
        Kind {
            name: "gRPC messages of 7.5 MiB that never end, from nobody known",
            answers: &["grpc-status 16"],
            refused: true,
            lasting: None,
            abuse: |target, tally| hoard(target, tally).boxed_local(),
        },
    ]
}

fn request<B: Body>(target: &Target, token: &str, body: B) -> Request<B> {
    let request = Request::post(format!("http://{}{PUBLISH}", target.grpc)).header("te", "trailers");
    let request = request.header("content-type", "application/grpc");
    request.header("authorization", format!("Bearer {token}")).body(body).expect("a request")
}

async fn lengths(target: Target, tally: Tally) {
    loop {
        for length in [u32::MAX, 64 << 20] {
            let message = [&[0], &length.to_be_bytes()[..], &[0; PIECE]].concat();
            let body = Full::new(Bytes::from(message));
            tally.add(call(target.grpc, request(&target, &target.publisher_token, body)).await);
        }
    }
}

async fn compressed(target: Target, tally: Tally) {
    let bomb = bomb();
    let length = u32::try_from(bomb.len()).expect("a short bomb");
    let message = Bytes::from([&[1], &length.to_be_bytes()[..], &bomb].concat());
    loop {
        let body = Full::new(message.clone());
        let mut request = request(&target, &target.publisher_token, body);
        request.headers_mut().insert("grpc-encoding", HeaderValue::from_static("gzip"));
        tally.add(call(target.grpc, request).await);
    }
}

async fn hoard(target: Target, tally: Tally) {
    let length = u32::try_from(PIECE * PIECES + 1).expect("a few megabytes");
    let piece = Bytes::from(vec![0; PIECE]);
    let one = || async {
        let head = Bytes::from([&[0], &length.to_be_bytes()[..]].concat());
        let pieces = stream::iter(std::iter::once(head).chain(std::iter::repeat_n(piece.clone(), PIECES)));
        let frames = pieces.map(|piece| Ok::<_, Infallible>(Frame::data(piece))).chain(stream::pending());
        tally.add(call(target.grpc, request(&target, "tmwh_nobody", StreamBody::new(frames))).await);
    };
    // It is memory that they are to cost.
    open_loop(2, SOON, Duration::ZERO, async |_, _| drop(join_all((0..HOARD).map(|_| one())).await)).await;
}
