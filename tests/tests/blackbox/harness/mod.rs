//! The harness itself: what it says about the product can only be as right as it is.

mod leftovers;
mod proxy;
mod receiver;
mod servers;

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Sends `count` requests of 1.5 KB over one connection, each after the answer to the one before.
async fn pipeline(address: SocketAddr, count: usize) {
    let mut stream = TcpStream::connect(address).await.expect("the receiver listens");
    let body = "x".repeat(1_500);
    let headers: String = (0..12).map(|n| format!("x-header-{n}: some value of usual length\r\n")).collect();
    let length = body.len();
    let request = format!("POST /load HTTP/1.1\r\nhost: {address}\r\ncontent-length: {length}\r\n{headers}\r\n{body}");
    let mut answer = [0; 1024];
    for _ in 0..count {
        stream.write_all(request.as_bytes()).await.expect("the receiver reads");
        let read = stream.read(&mut answer).await.expect("the receiver answers");
        assert!(answer[..read].starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer[..read]));
    }
}
