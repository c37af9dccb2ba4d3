//! A port that does not get as far as HTTP or TLS.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
    task::{JoinHandle, JoinSet},
};

/// Listens on 127.0.0.1; it ends when dropped.
pub struct Listener {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Listener {
    /// Accepts, and says nothing until the other side leaves.
    #[must_use]
    pub fn silent() -> Self {
        Self::start(128, |listener| accept(listener, Vec::new()))
    }

    /// Says these bytes to everyone who connects.
    #[must_use]
    pub fn says(greeting: impl Into<Vec<u8>>) -> Self {
        let greeting = greeting.into();
        Self::start(128, |listener| accept(listener, greeting))
    }

    /// Accepts nobody: the kernel completes the first connections, the others wait for it in vain.
    #[must_use]
    pub fn deaf() -> Self {
        Self::start(1, async |_listener| std::future::pending().await)
    }

    fn start<F: Future<Output = ()> + Send + 'static>(backlog: u32, task: impl FnOnce(TcpListener) -> F) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a free port on 127.0.0.1");
        let listener = socket.listen(backlog).expect("a port to listen on");
        let address = listener.local_addr().expect("the address just bound");
        Self { address, task: crate::spawn(task(listener)) }
    }

    /// The address of a path, which starts with `/`.
    #[must_use]
    pub fn url(&self, scheme: &str, path: &str) -> String {
        format!("{scheme}://{}{path}", self.address)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, greeting: Vec<u8>) {
    let mut connections = JoinSet::new();
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            let greeting = greeting.clone();
            connections.spawn(async move {
                // The sender going away is its own affair.
                let _ = greet(stream, &greeting).await;
            });
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn greet(mut stream: TcpStream, greeting: &[u8]) -> std::io::Result<()> {
    stream.write_all(greeting).await?;
    let mut buffer = [0; 4096];
    while stream.read(&mut buffer).await? > 0 {}
    Ok(())
}
