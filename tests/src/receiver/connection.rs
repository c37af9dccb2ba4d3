//! One connection to the receiver: requests in, answers out.

use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    time::Instant,
};

use bytes::{Buf, Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;

use super::{
    Received, Shared,
    script::{Action, Then},
};
use crate::wait;

/// A connection, in plain text or over TLS.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {
    /// What it runs over.
    fn socket(&self) -> &TcpStream;
}

impl Stream for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

impl Stream for TlsStream<TcpStream> {
    fn socket(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// What comes before the body.
struct Head {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
}

pub(super) async fn serve(stream: &mut dyn Stream, peer: SocketAddr, shared: &Shared) -> io::Result<()> {
    let mut buffer = BytesMut::with_capacity(8 * 1024);
    while let Some(head) = read_head(stream, &mut buffer).await? {
        let body = read_body(stream, &mut buffer, &head).await?;
        let (path, query) = match head.target.split_once('?') {
            Some((path, query)) => (path.to_owned(), Some(query.to_owned())),
            None => (head.target, None),
        };
        let Head { method, headers, .. } = head;
        let answer = shared.record(Received { method, path, query, headers, body, at: Instant::now(), peer });
        if !answer.delay.is_zero() {
            wait::pause(answer.delay).await;
        }
        match answer.action {
            Action::Respond { status, headers, body } => respond(stream, status, &headers, &body).await?,
            Action::Raw { bytes, then } => {
                stream.write_all(&bytes).await?;
                return end(stream, buffer, then).await;
            }
        }
    }
    Ok(())
}

/// What comes after the last answer on this connection.
async fn end(stream: &mut dyn Stream, mut buffer: BytesMut, then: Then) -> io::Result<()> {
    match then {
        Then::Close => {}
        // Until the sender has had enough.
        Then::Hang => {
            while stream.read_buf(&mut buffer).await? > 0 {
                buffer.clear();
            }
        }
        Then::Reset => {
            stream.flush().await?;
            return stream.socket().set_zero_linger();
        }
        Then::Repeat { piece, pause } => loop {
            stream.write_all(&piece).await?;
            stream.flush().await?;
            wait::pause(pause).await;
        },
    }
    stream.shutdown().await
}

async fn read_head(stream: &mut dyn Stream, buffer: &mut BytesMut) -> io::Result<Option<Head>> {
    let mut searched = 0;
    loop {
        if let Some(found) = find(&buffer[searched..], b"\r\n\r\n") {
            let head = buffer.split_to(searched + found);
            buffer.advance(4);
            return parse_head(&head).map(Some).ok_or_else(|| io::Error::from(ErrorKind::InvalidData));
        }
        searched = buffer.len().saturating_sub(3);
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

fn parse_head(head: &[u8]) -> Option<Head> {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let header = |line: &str| line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
    Some(Head { method, target, headers: lines.map(header).collect::<Option<_>>()? })
}

async fn read_body(stream: &mut dyn Stream, buffer: &mut BytesMut, head: &Head) -> io::Result<Bytes> {
    let header = |name: &str| head.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, v)| v);
    if header("transfer-encoding").is_some() {
        return read_chunks(stream, buffer).await;
    }
    let length = header("content-length").map_or(Ok(0), |value| value.parse());
    take(stream, buffer, length.map_err(|_| io::Error::from(ErrorKind::InvalidData))?).await
}

async fn read_chunks(stream: &mut dyn Stream, buffer: &mut BytesMut) -> io::Result<Bytes> {
    let mut body = BytesMut::new();
    loop {
        let line_end = loop {
            match find(buffer, b"\r\n") {
                Some(found) => break found,
                None if stream.read_buf(buffer).await? == 0 => return Err(ErrorKind::UnexpectedEof.into()),
                None => {}
            }
        };
        let line = buffer.split_to(line_end);
        buffer.advance(2);
        let digits = String::from_utf8_lossy(&line);
        let size = usize::from_str_radix(digits.split(';').next().unwrap_or_default().trim(), 16);
        let size = size.map_err(|_| io::Error::from(ErrorKind::InvalidData))?;
        let chunk = take(stream, buffer, size + 2).await?;
        body.extend_from_slice(&chunk[..size]);
        if size == 0 {
            return Ok(body.freeze());
        }
    }
}

async fn take(stream: &mut dyn Stream, buffer: &mut BytesMut, length: usize) -> io::Result<Bytes> {
    while buffer.len() < length {
        if stream.read_buf(buffer).await? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(buffer.split_to(length).freeze())
}

async fn respond(stream: &mut dyn Stream, status: u16, headers: &[(String, String)], body: &[u8]) -> io::Result<()> {
    let mut bytes = format!("HTTP/1.1 {status} Scripted\r\ncontent-length: {}\r\n", body.len()).into_bytes();
    for (name, value) in headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    stream.write_all(&bytes).await
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
