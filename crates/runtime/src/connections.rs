//! The connections of a listener: how many there are at once, and how long one may be silent.
//!
//! What is said on them is the affair of HTTP and gRPC, which have bounds of their own. Here it is seen to that whoever
//! connects and does nothing, or stops half-way, goes away by a deadline; and sooner where others need the place.

use std::{
    io,
    mem::MaybeUninit,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::{Stream, StreamExt as _, future};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    time::{Instant, Sleep},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::either::Either;
use tonic::transport::server::Connected as _;

use crate::{
    frames::Metered,
    places::{Place, Places},
    tls,
};

/// How long a client may take to say the first bytes.
const OPENING: Duration = Duration::from_secs(10);
/// How long a connection may be without a byte in either direction. Clients of gRPC are asked for one every 10 s.
const SILENCE: Duration = Duration::from_secs(60);
/// Reads that find something, one after the other, before others have their turn: a flood of small frames would otherwise
/// be worked on for as long as tokio permits, which is tens of thousands of them.
const TURN: u8 = 1;
/// After there was no descriptor left for a connection.
const SCARCE: Duration = Duration::from_millis(100);

/// Takes connections, each with a place.
#[derive(Debug)]
pub(crate) struct Incoming {
    tcp: TcpListener,
    places: Arc<Places>,
    /// The bytes after which a client has begun to speak.
    greeting: usize,
    patience: Patience,
}

/// How long a connection may be silent.
#[derive(Clone, Copy, Debug)]
struct Patience {
    /// Until it has begun to speak, from its beginning.
    opening: Duration,
    /// From then on, between any two bytes.
    silence: Duration,
}

impl Incoming {
    /// `greeting` is how many bytes a client must say within [`OPENING`].
    pub(crate) fn new(tcp: TcpListener, greeting: usize) -> Self {
        let patience = Patience { opening: OPENING, silence: SILENCE };
        Self { tcp, places: Arc::new(Places::of_a_listener()), greeting, patience }
    }

    /// The next connection.
    pub(crate) async fn accept(&self) -> Connection {
        loop {
            match self.tcp.accept().await {
                Ok((stream, _)) => {
                    // Waiting for more to send would cost 40 ms where an answer is sent in two parts.
                    let _ = stream.set_nodelay(true);
                    return Connection::new(stream, self.places.take(), self.greeting, self.patience);
                }
                // The client's own affair: it has gone already.
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection; is the limit on open files too low?");
                    self.places.free_one();
                    tokio::time::sleep(SCARCE).await;
                }
            }
        }
    }

    /// All connections on which something was said, for gRPC. Those that end before are nobody's affair.
    pub(crate) fn stream(self, tls: Option<TlsAcceptor>) -> impl Stream<Item = io::Result<ForGrpc>> {
        futures::stream::unfold(self, |incoming| async move { Some((incoming.accept().await, incoming)) })
            .map(move |connection| connection.for_grpc(tls.clone()))
            // There are never more of them than places.
            .buffer_unordered(usize::MAX)
            .filter(|ready| future::ready(ready.is_ok()))
    }
}

/// A connection that gRPC is spoken over.
pub(crate) type ForGrpc = Metered<Either<Connection, TlsStream<Connection>>>;

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// A connection that does not outlive its client's interest in it.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    place: Place,
    opened: Instant,
    /// Bytes that are missing until the client has begun to speak.
    greeting: usize,
    patience: Patience,
    /// Reads in this turn.
    reads: u8,
    alarm: Pin<Box<Sleep>>,
}

impl Connection {
    fn new(stream: TcpStream, place: Place, greeting: usize, patience: Patience) -> Self {
        let opened = Instant::now();
        let alarm = Box::pin(tokio::time::sleep_until(opened + patience.opening));
        Self { stream, place, opened, greeting, patience, reads: 0, alarm }
    }

    /// Who is at the other end.
    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        self.stream.peer_addr().ok()
    }

    /// Waits for the first byte, so that nothing of a protocol is set up for who says none: its buffers are many times
    /// what a connection is here.
    pub(crate) async fn spoken(mut self) -> io::Result<Self> {
        future::poll_fn(|context| {
            let mut first = [MaybeUninit::uninit()];
            let polled = self.stream.poll_peek(context, &mut ReadBuf::uninit(&mut first));
            self.settle(polled, context)
        })
        .await?;
        Ok(self)
    }

    async fn for_grpc(self, tls: Option<TlsAcceptor>) -> io::Result<ForGrpc> {
        let spoken = self.spoken().await?;
        let info = spoken.stream.connect_info();
        let stream = match tls {
            Some(tls) => Either::Right(tls::accept(&tls, spoken).await?),
            None => Either::Left(spoken),
        };
        Ok(Metered::new(stream, info))
    }

    fn heard(&mut self, bytes: usize) {
        if bytes > 0 {
            self.greeting = self.greeting.saturating_sub(bytes);
            self.place.spoke();
        }
    }

    /// By when something must have happened.
    fn deadline(&self) -> Instant {
        if self.greeting > 0 {
            return self.opened + self.patience.opening;
        }
        self.place.spoken_at() + self.patience.silence
    }

    /// Why it has to end although the operating system would wait.
    fn overdue(&mut self, context: &mut Context<'_>) -> Option<io::Error> {
        if self.place.is_lost(context) {
            return Some(io::Error::new(io::ErrorKind::ConnectionAborted, "its place was needed"));
        }
        while self.alarm.as_mut().poll(context).is_ready() {
            let deadline = self.deadline();
            if deadline <= Instant::now() {
                return Some(io::Error::new(io::ErrorKind::TimedOut, "silent for too long"));
            }
            self.alarm.as_mut().reset(deadline);
        }
        None
    }

    /// What an operation comes to that the operating system has answered so.
    fn settle<T>(&mut self, polled: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        match polled {
            Poll::Pending => self.overdue(context).map_or(Poll::Pending, |error| Poll::Ready(Err(error))),
            ready => ready,
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.reads >= TURN {
            this.reads = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(context, buffer);
        this.reads = if polled.is_ready() { this.reads + 1 } else { 0 };
        this.heard(buffer.filled().len() - before);
        this.settle(polled, context)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write(context, bytes);
        if polled.is_ready() {
            this.place.spoke();
        }
        this.settle(polled, context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write_vectored(context, parts);
        if polled.is_ready() {
            this.place.spoke();
        }
        this.settle(polled, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures::FutureExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    async fn pair(incoming: &Incoming) -> (TcpStream, Connection) {
        let address = incoming.tcp.local_addr().unwrap();
        let (client, server) = tokio::join!(TcpStream::connect(address), incoming.accept());
        (client.unwrap(), server)
    }

    async fn incoming(limit: usize) -> Incoming {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let patience = Patience { opening: Duration::from_millis(50), silence: Duration::from_millis(300) };
        Incoming { tcp, places: Arc::new(Places::new(limit)), greeting: 2, patience }
    }

    #[tokio::test]
    async fn a_connection_is_passed_on_with_its_first_byte() {
        let mut incoming = incoming(10).await;
        incoming.patience.opening = Duration::from_secs(60);
        let address = incoming.tcp.local_addr().unwrap();
        let mut passed_on = pin!(incoming.stream(None));
        let _silent = TcpStream::connect(address).await.unwrap();
        let mut client = TcpStream::connect(address).await.unwrap();
        // Both were accepted: the answer to a connection is that of the operating system.
        for _ in 0..100 {
            tokio::task::yield_now().await;
            assert!(passed_on.next().now_or_never().is_none());
        }
        client.write_all(b"x").await.unwrap();
        let spoken = passed_on.next().await.unwrap().unwrap();
        assert_eq!(spoken.connect_info().remote_addr(), client.local_addr().ok());
    }

    #[tokio::test]
    async fn who_says_nothing_is_gone_by_the_deadline_before_it_is_passed_on() {
        let incoming = incoming(10).await;
        let (_client, silent) = pair(&incoming).await;
        assert_eq!(silent.spoken().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn who_does_not_begin_to_speak_is_gone_by_the_deadline() {
        let incoming = incoming(10).await;
        let (mut client, mut server) = pair(&incoming).await;
        client.write_all(b"x").await.unwrap();
        let begun = Instant::now();
        let mut bytes = [0; 8];
        assert_eq!(server.read(&mut bytes).await.unwrap(), 1);
        assert_eq!(server.read(&mut bytes).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(begun.elapsed() < incoming.patience.silence);
    }

    #[tokio::test]
    async fn who_has_spoken_may_be_silent_for_longer_but_not_for_ever() {
        let incoming = incoming(10).await;
        let (mut client, mut server) = pair(&incoming).await;
        client.write_all(b"hello").await.unwrap();
        let begun = Instant::now();
        let mut bytes = [0; 8];
        assert_eq!(server.read(&mut bytes).await.unwrap(), 5);
        assert_eq!(server.read(&mut bytes).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(begun.elapsed() > incoming.patience.opening * 2);
    }

    #[tokio::test]
    async fn where_no_place_is_left_the_longest_silent_goes() {
        let incoming = incoming(2).await;
        let (_first, mut silent) = pair(&incoming).await;
        let (mut second, mut speaking) = pair(&incoming).await;
        // Silence is told apart by the millisecond.
        tokio::time::sleep(Duration::from_millis(5)).await;
        second.write_all(b"hello").await.unwrap();
        let mut bytes = [0; 8];
        assert_eq!(speaking.read(&mut bytes).await.unwrap(), 5);
        let (_third, newcomer) = pair(&incoming).await;
        assert_eq!(silent.read(&mut bytes).await.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
        speaking.write_all(b"still there").await.unwrap();
        assert_eq!(incoming.places.taken(), 2);
        drop((silent, speaking, newcomer));
        assert_eq!(incoming.places.taken(), 0);
    }
}
