//! Somebody who abuses the product's listeners: a thread with a runtime of its own, so that it competes with those that
//! measure for the processor alone, and what it was answered.

use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::{Request, body::Body};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::oneshot,
};

use crate::{frames::kind, wait::pause};

/// Between two connections of a flood: its frames are to cost something, not its handshakes.
const AGAIN: Duration = Duration::from_millis(250);
/// An answer that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was answered, and how often.
#[derive(Clone, Debug, Default)]
pub struct Tally(Arc<Mutex<BTreeMap<String, usize>>>);

impl Tally {
    /// Counts an answer.
    pub fn add(&self, answer: impl Into<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(answer.into()).or_default() += 1;
    }

    /// All answers so far.
    #[must_use]
    pub fn answers(&self) -> BTreeMap<String, usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often that was answered.
    #[must_use]
    pub fn count(&self, answer: &str) -> usize {
        self.answers().get(answer).copied().unwrap_or_default()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let answers: Vec<_> = self.answers().iter().map(|(answer, count)| format!("{answer} ×{count}")).collect();
        formatter.write_str(&answers.join(", "))
    }
}

/// Abuse under way. Dropped, it ends, and all its connections are closed.
pub struct Abuser {
    /// What it was answered.
    pub tally: Tally,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Abuser {
    /// Begins.
    pub fn start<A: Future<Output = ()>>(abuse: impl FnOnce(Tally) -> A + Send + 'static) -> Self {
        let tally = Tally::default();
        let (end, ended) = oneshot::channel();
        let noted = tally.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                tokio::select! {
                    () = abuse(noted) => {}
                    _ = ended => {}
                }
            });
        });
        Self { tally, end: Some(end), thread: Some(thread) }
    }
}

impl Drop for Abuser {
    fn drop(&mut self) {
        drop(self.end.take());
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) && !std::thread::panicking() {
            panic!("the abuser panicked");
        }
    }
}

/// Sends pieces over a new connection, one each `pace`, for as long as there are some and the server listens; the status
/// of the answer, or `closed`.
pub async fn ask(address: SocketAddr, pieces: impl Iterator<Item = Bytes>, pace: Duration) -> String {
    let Ok(stream) = TcpStream::connect(address).await else { return "refused".to_owned() };
    let (mut read, mut write) = stream.into_split();
    let writing = async {
        for piece in pieces {
            if write.write_all(&piece).await.is_err() {
                break;
            }
            if !pace.is_zero() {
                pause(pace).await;
            }
        }
        // The answer decides when it is over.
        std::future::pending::<()>().await;
    };
    tokio::select! {
        answer = status(&mut read) => answer,
        () = writing => unreachable!("it waits for ever"),
        () = pause(PATIENCE) => "no answer".to_owned(),
    }
}

/// The status of an answer in HTTP/1.1.
async fn status(read: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = [0; "HTTP/1.1 200".len()];
    match read.read_exact(&mut head).await {
        Ok(_) => String::from_utf8_lossy(&head[9..]).into_owned(),
        Err(_) => "closed".to_owned(),
    }
}

/// Connects, says something, and waits until the server closes: `closed`, or `late` if that takes longer than `deadline`.
pub async fn linger(address: SocketAddr, words: Bytes, deadline: Duration, tally: Tally) {
    let Ok(mut stream) = TcpStream::connect(address).await else { return tally.add("refused") };
    let opened = Instant::now();
    let _ = stream.write_all(&words).await;
    let mut bytes = [0; 4096];
    while matches!(stream.read(&mut bytes).await, Ok(count) if count > 0) {}
    tally.add(if opened.elapsed() <= deadline { "closed" } else { "late" });
}

/// Says `opening` and then `more` until that is nothing, as fast as the server takes it, over one connection after the other.
pub async fn flood(address: SocketAddr, opening: Vec<u8>, tally: Tally, mut more: impl FnMut(u32) -> Vec<u8>) {
    loop {
        if let Ok(stream) = TcpStream::connect(address).await {
            let (mut read, mut write) = stream.into_split();
            let writing = async {
                let mut sent = write.write_all(&opening).await;
                let mut rest = (0..).map(&mut more).take_while(|bytes| !bytes.is_empty());
                while let (Ok(()), Some(bytes)) = (sent, rest.next()) {
                    sent = write.write_all(&bytes).await;
                }
                // What was answered decides when it is over.
                std::future::pending::<()>().await;
            };
            tokio::select! {
                () = complaints(&mut read, &tally) => {}
                () = writing => unreachable!("it waits for ever"),
            }
        }
        pause(AGAIN).await;
    }
}

/// What a server of HTTP/2 does not like, until it closes: `GOAWAY` and `RST` with their codes.
pub async fn complaints(read: &mut (impl AsyncRead + Unpin), tally: &Tally) {
    let mut head = [0; 9];
    while read.read_exact(&mut head).await.is_ok() {
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let mut payload = vec![0; length];
        if read.read_exact(&mut payload).await.is_err() {
            break;
        }
        let code = |at: usize| payload.get(at + 3).copied().unwrap_or_default();
        match head[3] {
            kind::GOAWAY => tally.add(format!("GOAWAY {}", code(4))),
            kind::RST_STREAM => tally.add(format!("RST {}", code(0))),
            _ => {}
        }
    }
    tally.add("closed");
}

/// Calls with any body over a connection of its own; the `grpc-status`.
pub async fn call<B>(address: SocketAddr, request: Request<B>) -> String
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let exchange = async {
        let stream = TcpStream::connect(address).await.ok()?;
        let shake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
        let (mut sender, connection) = shake.await.ok()?;
        let connection = crate::spawn(connection);
        let answer = sender.send_request(request).await;
        let code = match answer {
            Ok(answer) => grpc_status(answer).await,
            Err(_) => None,
        };
        connection.abort();
        code
    };
    let code = tokio::time::timeout(PATIENCE, exchange).await;
    code.ok().flatten().map_or_else(|| "closed".to_owned(), |code| format!("grpc-status {code}"))
}

async fn grpc_status(answer: hyper::Response<hyper::body::Incoming>) -> Option<String> {
    let text = |headers: &hyper::HeaderMap| headers.get("grpc-status")?.to_str().ok().map(str::to_owned);
    if let Some(code) = text(answer.headers()) {
        return Some(code);
    }
    text(answer.into_body().collect().await.ok()?.trailers()?)
}
