//! The connections of a listener: how many there are at once, and how long one may be silent.
//!
//! What is said on them is the affair of HTTP and gRPC, which have bounds of their own. Here it is seen to that whoever
//! connects and does nothing, or stops half-way, goes away by a deadline; and sooner where others need the place.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures::{Stream, task::AtomicWaker};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    time::{Instant, Sleep},
};
use tonic::transport::server::{Connected, TcpConnectInfo};

/// How long a client may take to say the first bytes.
const OPENING: Duration = Duration::from_secs(10);
/// How long a connection may be without a byte in either direction. Clients of gRPC are asked for one every 10 s.
const SILENCE: Duration = Duration::from_secs(60);
/// Reads that find something, one after the other, before others have their turn: a flood of small frames would otherwise
/// be worked on for as long as tokio permits, which is tens of thousands of them.
const TURN: u8 = 1;
/// After there was no descriptor left for a connection.
const SCARCE: Duration = Duration::from_millis(100);
/// Connections of one listener at once, if there are descriptors for so many.
const MOST: usize = 16_384;

/// A listener's share of the descriptors: there may be three of them, and the rest is for receivers, servers and files.
fn share(descriptors: u64) -> usize {
    usize::try_from(descriptors / 4).unwrap_or(MOST).clamp(16, MOST)
}

/// Takes connections, each with a place. Where there is none left, the one goes that has been silent longest: silence
/// costs an attacker nothing, so a newcomer is likelier to be somebody's.
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
        let places = Places::new(share(crate::descriptors::limit()));
        let patience = Patience { opening: OPENING, silence: SILENCE };
        Self { tcp, places: Arc::new(places), greeting, patience }
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

    /// All connections, for gRPC.
    pub(crate) fn stream(self) -> impl Stream<Item = io::Result<Connection>> {
        futures::stream::unfold(self, |incoming| async move { Some((Ok(incoming.accept().await), incoming)) })
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Who is connected.
#[derive(Debug)]
struct Places {
    limit: usize,
    began: Instant,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    seats: HashMap<u64, Arc<Seat>>,
}

/// What is known of a connection.
#[derive(Debug, Default)]
struct Seat {
    /// When a byte last went over it, in ms since the listener began.
    spoke: AtomicU64,
    /// It has to go.
    evicted: AtomicBool,
    waker: AtomicWaker,
}

impl Places {
    fn new(limit: usize) -> Self {
        Self { limit, began: Instant::now(), taken: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn take(self: &Arc<Self>) -> Place {
        let seat = Arc::new(Seat { spoke: self.now().into(), ..Seat::default() });
        let mut taken = self.lock();
        if taken.seats.len() >= self.limit {
            taken.evict();
        }
        let number = taken.next;
        taken.next += 1;
        taken.seats.insert(number, Arc::clone(&seat));
        Place { number, seat, places: Arc::clone(self) }
    }

    fn free_one(&self) {
        self.lock().evict();
    }
}

impl Taken {
    /// Ends the connection that has been silent longest. A look at each of some thousands takes microseconds.
    fn evict(&mut self) {
        let silent = self.seats.iter().min_by_key(|(_, seat)| seat.spoke.load(Ordering::Relaxed));
        let Some(seat) = silent.map(|(number, _)| *number).and_then(|number| self.seats.remove(&number)) else {
            return;
        };
        seat.evicted.store(true, Ordering::Release);
        seat.waker.wake();
    }
}

/// A connection's place, free again when it is dropped.
#[derive(Debug)]
struct Place {
    number: u64,
    seat: Arc<Seat>,
    places: Arc<Places>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.lock().seats.remove(&self.number);
    }
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

    fn spoke(&self) {
        self.place.seat.spoke.store(self.place.places.now(), Ordering::Relaxed);
    }

    fn heard(&mut self, bytes: usize) {
        if bytes > 0 {
            self.greeting = self.greeting.saturating_sub(bytes);
            self.spoke();
        }
    }

    /// By when something must have happened.
    fn deadline(&self) -> Instant {
        if self.greeting > 0 {
            return self.opened + self.patience.opening;
        }
        self.place.places.began
            + Duration::from_millis(self.place.seat.spoke.load(Ordering::Relaxed))
            + self.patience.silence
    }

    /// Why it has to end although the operating system would wait.
    fn overdue(&mut self, context: &mut Context<'_>) -> Option<io::Error> {
        self.place.seat.waker.register(context.waker());
        if self.place.seat.evicted.load(Ordering::Acquire) {
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
            this.spoke();
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
            this.spoke();
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

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn a_share_is_neither_nothing_nor_all() {
        assert_eq!(share(0), 16);
        assert_eq!(share(1_024), 256);
        assert_eq!(share(u64::MAX), MOST);
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
        assert_eq!(incoming.places.lock().seats.len(), 2);
        drop((silent, speaking, newcomer));
        assert_eq!(incoming.places.lock().seats.len(), 0);
    }
}
