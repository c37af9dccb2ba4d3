//! The endpoint of what is measured: as little work for each request as can be, so that its share of the machine stays
//! small. It notes when each event came, and answers at once.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use anyhow::Context as _;
use runtime::Tasks;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// What is read at once at most.
const BUFFER: usize = 64 << 10;
const GOOD: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";
const BAD: &[u8] = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n";

/// A request that was answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    /// The event's id, as the 36 characters of the body have it.
    pub(crate) event: [u8; 36],
    pub(crate) at: Instant,
}

/// What has come so far.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    delivered: AtomicU64,
    seen: Mutex<Vec<Arrival>>,
    /// Of a hundred events, how many fail at their first attempt.
    failing: AtomicU64,
}

impl Arrivals {
    /// How many were answered well.
    pub(crate) fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }

    /// What has come since this was last asked.
    pub(crate) fn take(&self) -> Vec<Arrival> {
        self.delivered.store(0, Ordering::Relaxed);
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets the first attempt of so many events of a hundred fail from now on.
    pub(crate) fn fail(&self, of_a_hundred: u64) {
        self.failing.store(of_a_hundred, Ordering::Relaxed);
    }

    /// Notes a request; the answer to it.
    fn answer(&self, head: &[u8], body: &[u8]) -> &'static [u8] {
        let Some(event) = after(body, b"\"id\":\"").and_then(|rest| rest.first_chunk::<36>()) else { return BAD };
        let of_a_hundred = event.iter().fold(0_u64, |sum, byte| (sum * 31 + u64::from(*byte)) % 100);
        let is_first = after(head, b"x-testmo-attempt: ").is_some_and(|rest| rest.starts_with(b"1\r"));
        if is_first && of_a_hundred < self.failing.load(Ordering::Relaxed) {
            return BAD;
        }
        let arrival = Arrival { event: *event, at: Instant::now() };
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(arrival);
        self.delivered.fetch_add(1, Ordering::Relaxed);
        GOOD
    }
}

/// Listens at `address` until the tasks are to end; where it does, and what comes.
pub(crate) async fn listen(address: SocketAddr, tasks: &Tasks) -> anyhow::Result<(SocketAddr, Arc<Arrivals>)> {
    let listener =
        TcpListener::bind(address).await.with_context(|| format!("cannot listen at {address} (--receiver)"))?;
    let address = listener.local_addr()?;
    let arrivals = Arc::new(Arrivals::default());
    let (noted, connections, stop) = (Arc::clone(&arrivals), tasks.clone(), tasks.shutdown_token().clone());
    tasks.spawn("receiver", async move {
        let accept = async {
            while let Ok((stream, _)) = listener.accept().await {
                let (arrivals, stop) = (Arc::clone(&noted), stop.clone());
                connections.spawn("receiver's connection", async move {
                    // A connection that breaks is its sender's business.
                    let _ = stop.run_until_cancelled(serve(stream, &arrivals)).await;
                });
            }
        };
        stop.run_until_cancelled(accept).await;
    });
    Ok((address, arrivals))
}

async fn serve(mut stream: TcpStream, arrivals: &Arrivals) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer: Vec<u8> = Vec::with_capacity(BUFFER);
    loop {
        while let Some((head, length)) = request(&buffer) {
            if buffer.len() < head + length {
                break;
            }
            let answer = arrivals.answer(&buffer[..head], &buffer[head..head + length]);
            stream.write_all(answer).await?;
            buffer.drain(..head + length);
        }
        if stream.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
    }
}

/// How long the head of the request is that begins here, and how long its body; `None`: the head is not here yet.
fn request(bytes: &[u8]) -> Option<(usize, usize)> {
    let rest = after(bytes, b"\r\n\r\n")?;
    let head = bytes.len() - rest.len();
    let length = after(&bytes[..head], b"content-length: ").map_or(&b""[..], |rest| rest);
    let digits = length.iter().take_while(|byte| byte.is_ascii_digit());
    Some((head, digits.fold(0, |number, digit| number * 10 + usize::from(digit - b'0'))))
}

/// What stands after the first place where `wanted` is found.
fn after<'a>(bytes: &'a [u8], wanted: &[u8]) -> Option<&'a [u8]> {
    let at = bytes.windows(wanted.len()).position(|window| window == wanted)?;
    bytes.get(at + wanted.len()..)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0193b5a1-1111-7222-8333-444455556666";

    #[test]
    fn a_request_is_read_when_it_is_whole_and_fails_once_if_it_is_to() {
        let body = format!("{{\"id\":\"{ID}\"}}");
        let head = |attempt| {
            format!("POST / HTTP/1.1\r\nx-testmo-attempt: {attempt}\r\ncontent-length: {}\r\n\r\n", body.len())
        };
        let first = head(1);
        assert_eq!(request(&first.as_bytes()[..first.len() - 1]), None);
        assert_eq!(request(first.as_bytes()), Some((first.len(), body.len())));
        let arrivals = Arrivals::default();
        assert_eq!(arrivals.answer(first.as_bytes(), body.as_bytes()), GOOD);
        arrivals.fail(100);
        assert_eq!(arrivals.answer(first.as_bytes(), body.as_bytes()), BAD);
        assert_eq!(arrivals.answer(head(2).as_bytes(), body.as_bytes()), GOOD);
        assert_eq!(arrivals.answer(first.as_bytes(), b"{}"), BAD);
        assert_eq!(arrivals.delivered(), 2);
        assert!(arrivals.take().iter().all(|arrival| arrival.event == ID.as_bytes()));
        assert_eq!(arrivals.delivered(), 0);
    }
}
