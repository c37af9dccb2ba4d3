//! Lines of bytes that may be anything: what is wrong with one is known of that one alone.

use tokio::io::{AsyncBufRead as _, AsyncBufReadExt as _, AsyncRead, BufReader};

/// Bytes that are read ahead: what is in them is there together.
const BUFFER: usize = 1 << 20;
/// Bytes that a line may have. Its event may be smaller by far than its JSON: `\u0041` is one byte of it.
const LIMIT: usize = 2 << 20;
/// What some editors put before the first line.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A line without its end, or what is wrong with it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Counted from 1.
    pub(super) number: usize,
    pub(super) text: Result<String, String>,
}

/// Reads lines.
pub(super) struct Lines<R> {
    reader: BufReader<R>,
    number: usize,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(input: R) -> Self {
        Self { reader: BufReader::with_capacity(BUFFER, input), number: 0 }
    }

    /// The number of the line that comes next.
    pub(super) const fn next_number(&self) -> usize {
        self.number + 1
    }

    /// Whether the next line can be had without waiting.
    pub(super) fn is_ready(&self) -> bool {
        self.reader.buffer().contains(&b'\n')
    }

    /// The next line.
    pub(super) async fn next(&mut self) -> std::io::Result<Option<Line>> {
        let mut line = Vec::new();
        // Of a line that is too long only the length is kept.
        let mut length = 0;
        let mut ended = false;
        while !ended {
            let bytes = self.reader.fill_buf().await?;
            if bytes.is_empty() {
                break;
            }
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let part = &bytes[..end.unwrap_or(bytes.len())];
            length += part.len();
            if length <= LIMIT {
                line.extend_from_slice(part);
            }
            ended = end.is_some();
            let consumed = part.len() + usize::from(ended);
            std::pin::Pin::new(&mut self.reader).consume(consumed);
        }
        if length == 0 && !ended {
            return Ok(None);
        }
        self.number += 1;
        let text = if length > LIMIT { Err(too_long(length)) } else { self.text(line) };
        Ok(Some(Line { number: self.number, text }))
    }

    fn text(&self, mut line: Vec<u8>) -> Result<String, String> {
        if self.number == 1 && line.starts_with(BYTE_ORDER_MARK) {
            line.drain(..BYTE_ORDER_MARK.len());
        }
        String::from_utf8(line).map_err(|error| {
            let place = error.utf8_error().valid_up_to() + 1;
            format!("is not UTF-8 (byte {place})")
        })
    }
}

fn too_long(length: usize) -> String {
    format!("has {length} bytes; an event may have at most {} KiB", ingest::MAX_EVENT_BYTES >> 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(input: &[u8]) -> Vec<Line> {
        let mut lines = Lines::new(input);
        let mut all = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            all.push(line);
        }
        assert_eq!(lines.next_number(), all.len() + 1);
        all
    }

    #[tokio::test]
    async fn each_line_stands_for_itself() {
        let long = vec![b'x'; LIMIT + 1];
        let input = [b"\xef\xbb\xbfone\n\ntw\xffo\r\n".as_slice(), &long, b"\nthree\n\xef\xbb\xbflast"].concat();
        let texts: Vec<_> = read(&input).await.into_iter().map(|line| line.text).collect();
        let expected = [
            Ok("one".to_owned()),
            Ok(String::new()),
            Err("is not UTF-8 (byte 3)".to_owned()),
            Err(format!("has {} bytes; an event may have at most 256 KiB", LIMIT + 1)),
            Ok("three".to_owned()),
            Ok("\u{feff}last".to_owned()),
        ];
        assert_eq!(texts, expected);
        assert_eq!(read(b"").await, []);
        assert_eq!(read(b"\n").await.len(), 1);
        assert_eq!(read(&long[1..]).await[0].text.as_ref().map(String::len), Ok(LIMIT));
    }
}
