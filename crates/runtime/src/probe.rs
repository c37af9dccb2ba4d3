//! The command `health` of every service: asks the running program whether it is ready, in an image that holds nothing
//! else that could.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// Longer than the program itself waits for an answer.
const PATIENCE: Duration = Duration::from_secs(4);
/// Bytes; an answer names a few checks.
const MOST: u64 = 64 << 10;

/// What the program at `address` (`admin.listen`) says, and whether that is that it is ready.
///
/// # Errors
/// There is no such program, or none that answers in time.
pub(crate) async fn readiness(address: SocketAddr) -> Result<(bool, String), String> {
    let asked = timeout(PATIENCE, ask(address)).await;
    let answer =
        asked.map_err(|_| format!("no answer from {address} (admin.listen) within {} s", PATIENCE.as_secs()))?;
    let answer = answer.map_err(|error| format!("cannot ask {address} (admin.listen): {error}"))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).ok_or_else(|| format!("{address} (admin.listen) does not speak HTTP"))?;
    Ok((status == "200", body.trim().to_owned()))
}

async fn ask(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    // 1.0: one answer, as it is, and the end of the connection.
    stream.write_all(format!("GET /readyz HTTP/1.0\r\nhost: {address}\r\n\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MOST).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::net::TcpListener;

    use super::*;
    use crate::Health;

    async fn asked(health: Health) -> (bool, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::select! {
            _ = axum::serve(listener, health.router()) => unreachable!("it serves for ever"),
            answer = readiness(address) => answer.unwrap(),
        }
    }

    #[tokio::test]
    async fn ready_is_told_from_not_ready_and_from_nobody() {
        assert_eq!(asked(Health::default()).await, (true, r#"{"checks":{},"status":"ok"}"#.to_owned()));
        let mut health = Health::default();
        health.watch("broker", &Arc::new(()), |_| async { Err("gone".to_owned()) });
        let (ready, told) = asked(health).await;
        assert!(!ready && told.contains(r#""broker":"gone""#), "{told}");
        let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let error = readiness(nobody).await.unwrap_err();
        assert!(error.contains(&nobody.to_string()) && error.contains("admin.listen"), "{error}");
    }
}
