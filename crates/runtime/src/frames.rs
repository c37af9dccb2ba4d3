//! Frames of HTTP/2 that ask for nothing, and how many of them a client may send.
//!
//! h2 answers each PING and each SETTINGS, and takes as many as come: somebody who sends nothing else keeps a core busy
//! for the price of a few bytes. So the heads of frames are counted here, before h2 sees them.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::transport::server::{Connected, TcpConnectInfo};

/// Bytes that come before the first frame (RFC 9113, 3.4), and of a frame's head (4.1).
const PREFACE: usize = 24;
const HEAD: usize = 9;

/// What a client may spend at once, and what is added to it each second.
const BURST: u32 = 100_000;
const PER_SECOND: u32 = 10_000;
/// What a call adds. grpc-go sends a PING for almost every answer, to learn how much may be on its way.
const CALL: u32 = 200;
/// So many bytes that are sent to the client add one: it sends PINGs while it reads a long answer too.
const BYTES_SENT: usize = 16;

/// What a frame costs, by its kind (RFC 9113, 6).
const fn cost(kind: u8) -> u32 {
    match kind {
        // DATA, HEADERS and CONTINUATION ask for something, and are bounded by what they ask for.
        0 | HEADERS | 9 => 0,
        // RST_STREAM and WINDOW_UPDATE: a client that is busy sends some for each call.
        3 | 8 => 1,
        _ => 100,
    }
}

const HEADERS: u8 = 1;

/// Follows the frames in a stream of bytes.
#[derive(Debug)]
struct Meter {
    /// Bytes until the next head begins.
    skip: usize,
    head: [u8; HEAD],
    /// How much of the head is there.
    known: usize,
    left: u32,
    filled: Instant,
    /// Bytes sent that have added nothing yet.
    sent: usize,
}

impl Meter {
    fn new(now: Instant) -> Self {
        Self { skip: PREFACE, head: [0; HEAD], known: 0, left: BURST, filled: now, sent: 0 }
    }

    /// Whether the frames in these bytes are still paid for.
    fn takes(&mut self, mut bytes: &[u8], now: impl Fn() -> Instant) -> bool {
        loop {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = bytes.get(skipped..).unwrap_or_default();
            let missing = self.head.get_mut(self.known..).unwrap_or_default();
            let added = missing.len().min(bytes.len());
            let (new, rest) = bytes.split_at(added);
            missing.iter_mut().zip(new).for_each(|(to, from)| *to = *from);
            self.known += added;
            bytes = rest;
            if self.known < HEAD {
                return true;
            }
            let [high, middle, low, kind, ..] = self.head;
            self.known = 0;
            self.skip = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
            if kind == HEADERS {
                self.earn(CALL);
            }
            if !self.pay(cost(kind), &now) {
                return false;
            }
        }
    }

    fn earn(&mut self, added: u32) {
        self.left = self.left.saturating_add(added).min(BURST);
    }

    /// Notes what was sent to the client.
    fn sends(&mut self, bytes: usize) {
        self.sent += bytes;
        self.earn(u32::try_from(self.sent / BYTES_SENT).unwrap_or(u32::MAX));
        self.sent %= BYTES_SENT;
    }

    fn pay(&mut self, cost: u32, now: impl Fn() -> Instant) -> bool {
        if self.left < cost {
            let now = now();
            let passed = now.saturating_duration_since(self.filled).min(Duration::from_secs(60));
            let added = u32::try_from(passed.as_millis()).unwrap_or(u32::MAX).saturating_mul(PER_SECOND / 1000);
            self.earn(added);
            self.filled = now;
        }
        match self.left.checked_sub(cost) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}

/// A connection that ends when its client sends too many frames that ask for nothing.
#[derive(Debug)]
pub(crate) struct Metered<S> {
    stream: S,
    info: TcpConnectInfo,
    meter: Meter,
}

impl<S> Metered<S> {
    /// `stream` is at its beginning.
    pub(crate) fn new(stream: S, info: TcpConnectInfo) -> Self {
        Self { stream, info, meter: Meter::new(Instant::now()) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(context, buffer))?;
        let new = buffer.filled().get(before..).unwrap_or_default();
        if this.meter.takes(new, Instant::now) {
            return Poll::Ready(Ok(()));
        }
        // Whoever can connect can cause as many of these as they like.
        tracing::trace!(peer = ?this.info.remote_addr(), "too many frames that ask for nothing");
        Poll::Ready(Err(io::Error::other("too many frames that ask for nothing")))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.stream).poll_write(context, bytes))?;
        this.meter.sends(written);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.stream).poll_write_vectored(context, parts))?;
        this.meter.sends(written);
        Poll::Ready(Ok(written))
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

impl<S> Connected for Metered<S> {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.info.clone()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DATA: u8 = 0;
    const PRIORITY: u8 = 2;
    const SETTINGS: u8 = 4;
    const PING: u8 = 6;
    const WINDOW_UPDATE: u8 = 8;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap();
        [&length.to_be_bytes()[1..], &[kind, 0, 0, 0, 0, 1], payload].concat()
    }

    /// How many of these frames are taken, one after the other.
    fn taken(frame: &[u8], most: usize, later: Duration) -> usize {
        let begun = Instant::now();
        let mut meter = Meter::new(begun);
        assert!(meter.takes(&[b' '; PREFACE], || begun));
        (0..most).take_while(|_| meter.takes(frame, || begun + later)).count()
    }

    #[test]
    fn what_asks_for_nothing_is_bounded_and_what_asks_is_not() {
        for kind in [PING, SETTINGS, PRIORITY, 77] {
            assert_eq!(taken(&frame(kind, &[0; 8]), usize::MAX, Duration::ZERO), 1_000, "{kind}");
        }
        assert_eq!(taken(&frame(WINDOW_UPDATE, &[0; 4]), usize::MAX, Duration::ZERO), 100_000);
        assert_eq!(taken(&frame(DATA, b"some data"), 1_000_000, Duration::ZERO), 1_000_000);
    }

    #[test]
    fn time_brings_more() {
        assert_eq!(taken(&frame(PING, &[0; 8]), usize::MAX, Duration::from_secs(1)), 1_100);
        assert_eq!(taken(&frame(PING, &[0; 8]), usize::MAX, Duration::from_secs(3600)), 2_000);
    }

    #[test]
    fn a_client_that_sends_a_ping_for_each_answer_goes_on() {
        let now = Instant::now();
        let mut meter = Meter::new(now);
        assert!(meter.takes(&[b' '; PREFACE], || now));
        let call = [frame(HEADERS, b"a call"), frame(DATA, b"an event"), frame(PING, &[0; 8])].concat();
        assert!((0..100_000).all(|_| meter.takes(&call, || now)));
        // A long answer: it acknowledges, and asks how fast it came, for each 16 KiB.
        let reading = [frame(WINDOW_UPDATE, &[0; 4]), frame(PING, &[0; 8])].concat();
        let reads = |meter: &mut Meter| {
            meter.sends(16 << 10);
            meter.takes(&reading, || now)
        };
        assert!((0..100_000).all(|_| reads(&mut meter)));
        // Answers to PINGs pay for none.
        let pings = |meter: &mut Meter| {
            meter.sends(17);
            meter.takes(&frame(PING, &[0; 8]), || now)
        };
        assert!((0..2_000).any(|_| !pings(&mut meter)));
    }

    proptest! {
        /// However the bytes come, and whatever is in the payloads.
        #[test]
        fn frames_are_found_in_any_pieces(
            frames in proptest::collection::vec((prop_oneof![Just(DATA), Just(PING), Just(WINDOW_UPDATE)], 0_usize..40), 0..60),
            pieces in proptest::collection::vec(1_usize..50, 1..50),
        ) {
            let mut bytes = vec![0xff; PREFACE];
            bytes.extend(frames.iter().flat_map(|(kind, length)| frame(*kind, &vec![PING; *length])));
            let now = Instant::now();
            let mut meter = Meter::new(now);
            let mut rest = bytes.as_slice();
            for piece in pieces.iter().cycle() {
                let (piece, more) = rest.split_at((*piece).min(rest.len()));
                prop_assert!(meter.takes(piece, || now));
                rest = more;
                if rest.is_empty() {
                    break;
                }
            }
            let spent: u32 = frames.iter().map(|(kind, _)| cost(*kind)).sum();
            prop_assert_eq!(meter.left, BURST - spent);
        }
    }
}
