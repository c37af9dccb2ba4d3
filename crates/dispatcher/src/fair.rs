//! Connections that share the processor: after each read beyond the first few of an answer, others have their turn.
//!
//! The HTTP library reads for as long as there is something to read. A receiver that floods (informational answers
//! without end, say) would so keep a thread for seconds, and with it all other attempts.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};

use crate::stopwatch::OpenedFor;

/// Reads of an answer without giving way: most answers need one.
const READS: usize = 4;

/// A connection that gives way.
pub(crate) struct Fair<T> {
    connection: T,
    /// Since something was sent.
    reads: usize,
    /// Whether others have had their turn since the last read.
    gave_way: bool,
    opened_for: OpenedFor,
}

impl<T> Fair<T> {
    pub(crate) const fn new(connection: T, opened_for: OpenedFor) -> Self {
        Self { connection, reads: 0, gave_way: false, opened_for }
    }
}

impl<T: Read + Unpin> Read for Fair<T> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        if self.reads >= READS && !self.gave_way {
            self.gave_way = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let read = ready!(Pin::new(&mut self.connection).poll_read(context, into));
        self.reads += 1;
        self.gave_way = false;
        Poll::Ready(read)
    }
}

impl<T: Write + Unpin> Write for Fair<T> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.reads = 0;
        Pin::new(&mut self.connection).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.reads = 0;
        Pin::new(&mut self.connection).poll_write_vectored(context, bytes)
    }
}

impl<T: Connection> Connection for Fair<T> {
    fn connected(&self) -> Connected {
        self.connection.connected().extra(self.opened_for.clone())
    }
}

#[cfg(test)]
mod tests {
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn others_have_their_turn_while_there_is_more_to_read() {
        // As much as there is room for is always there to be read.
        let endless = TokioIo::new(tokio::io::join(tokio::io::repeat(b'x'), tokio::io::sink()));
        let mut fair = TokioIo::new(Fair::new(endless, OpenedFor::default()));
        let turns = std::cell::Cell::new(0);
        let reading = async {
            let mut buffer = [0; 64];
            for _ in 0..100 {
                assert_eq!(fair.read(&mut buffer).await.unwrap(), 64);
            }
            let before = turns.get();
            fair.write_all(b"the next request").await.unwrap();
            for _ in 0..READS {
                fair.read_exact(&mut buffer).await.unwrap();
            }
            assert_eq!(turns.get(), before, "a new answer begins anew");
            turns.get()
        };
        let others = async {
            loop {
                turns.set(turns.get() + 1);
                tokio::task::yield_now().await;
            }
        };
        let turns = tokio::select! {
            biased;
            turns = reading => turns,
            () = others => unreachable!(),
        };
        assert_eq!(turns, 100 - READS);
    }
}
