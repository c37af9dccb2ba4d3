//! Lines put together to what is published in one call.

use prost::Message as _;
use proto::{event::from_json, v1::Event};
use tokio::io::AsyncRead;

use super::lines::{Line, Lines};

/// Lines that are published together, if so many are there.
const LINES: usize = 200;
/// Bytes of events that are published together, somewhat less than the server takes in a call.
const BYTES: usize = ingest::MAX_BATCH_BYTES - (64 << 10);
/// Bytes that an event costs in a call beside its own.
const OVERHEAD: usize = 8;

/// A line's event, or what is wrong with it.
pub(super) struct Prepared {
    pub(super) number: usize,
    pub(super) event: Result<Event, String>,
    bytes: usize,
}

/// Reads chunks of lines that are not blank.
pub(super) struct Chunks<R> {
    lines: Lines<R>,
    /// Read already, for the next chunk.
    carried: Option<Prepared>,
    end: Option<std::io::Result<()>>,
}

impl<R: AsyncRead + Unpin> Chunks<R> {
    pub(super) fn new(input: R) -> Self {
        Self { lines: Lines::new(input), carried: None, end: None }
    }

    /// The next chunk, which holds something; it waits for its first line alone.
    pub(super) async fn next(&mut self) -> Option<Vec<Prepared>> {
        let mut chunk = Vec::new();
        let mut bytes = 0;
        while chunk.len() < LINES {
            let waits = chunk.is_empty() || self.carried.is_some() || self.lines.is_ready();
            let Some(line) = (if waits { self.line().await } else { None }) else { break };
            bytes += line.bytes;
            if bytes > BYTES && !chunk.is_empty() {
                self.carried = Some(line);
                break;
            }
            chunk.push(line);
        }
        if chunk.is_empty() { None } else { Some(chunk) }
    }

    async fn line(&mut self) -> Option<Prepared> {
        if let Some(line) = self.carried.take() {
            return Some(line);
        }
        while self.end.is_none() {
            match self.lines.next().await {
                Ok(Some(line)) if line.text.as_ref().is_ok_and(|text| text.trim().is_empty()) => {}
                Ok(Some(line)) => return Some(prepare(line)),
                Ok(None) => self.end = Some(Ok(())),
                Err(error) => self.end = Some(Err(error)),
            }
        }
        None
    }

    /// The first line that no chunk had, unless that was all; and why no more could be read.
    pub(super) fn rest(self) -> (Option<usize>, Option<std::io::Error>) {
        let next = self.carried.map_or(self.lines.next_number(), |line| line.number);
        match self.end {
            Some(Ok(())) => (None, None),
            Some(Err(error)) => (Some(next), Some(error)),
            None => (Some(next), None),
        }
    }
}

fn prepare(line: Line) -> Prepared {
    let event = line.text.and_then(|text| from_json(&text).map_err(|error| error.to_string()));
    let event = event.map(with_id).and_then(|event| match event.encoded_len() {
        bytes if bytes > ingest::MAX_EVENT_BYTES => {
            Err(format!("the event has {bytes} bytes; at most {} KiB are possible", ingest::MAX_EVENT_BYTES >> 10))
        }
        bytes => Ok((event, bytes + OVERHEAD)),
    });
    let bytes = event.as_ref().map_or(0, |(_, bytes)| *bytes);
    Prepared { number: line.number, event: event.map(|(event, _)| event), bytes }
}

/// With an id of its own, so that it can be published again without a second notification.
fn with_id(mut event: Event) -> Event {
    if event.id.is_empty() {
        event.id = domain::IdSource::uuid(&domain::SystemIds).to_string();
    }
    event
}

#[cfg(test)]
mod tests {
    use proto::v1::PublishBatchRequest;

    use super::*;

    fn line(name: &str) -> String {
        format!(r#"{{"event":"run.created","project":{{"id":1}},"data":{{"run":{{"id":1,"name":"{name}"}}}}}}{}"#, "\n")
    }

    async fn read(input: &str) -> Vec<Vec<Prepared>> {
        let mut chunks = Chunks::new(input.as_bytes());
        let mut all = Vec::new();
        while let Some(chunk) = chunks.next().await {
            all.push(chunk);
        }
        assert!(matches!(chunks.rest(), (None, None)));
        all
    }

    #[tokio::test]
    async fn a_call_stays_below_what_the_server_takes() {
        let large = line(&"x".repeat(250 << 10));
        let input = [large.repeat(40), line("small").repeat(450)].concat();
        let chunks = read(&input).await;
        let mut numbers = Vec::new();
        for chunk in chunks {
            numbers.extend(chunk.iter().map(|line| line.number));
            let events: Vec<_> = chunk.into_iter().map(|line| line.event.unwrap()).collect();
            assert!(events.len() <= LINES);
            assert!(PublishBatchRequest { events }.encoded_len() < ingest::MAX_BATCH_BYTES);
        }
        assert_eq!(numbers, (1..=490).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn what_cannot_be_published_is_told_of_its_line() {
        let input = ["\n \n", &line("fine"), "{\n", &line(&"x".repeat(256 << 10)), &line("fine")].concat();
        let lines: Vec<_> = read(&input).await.into_iter().flatten().collect();
        assert_eq!(lines.iter().map(|line| line.number).collect::<Vec<_>>(), [3, 4, 5, 6]);
        assert_eq!(lines.iter().map(|line| line.event.is_ok()).collect::<Vec<_>>(), [true, false, false, true]);
        assert!(lines[2].event.as_ref().unwrap_err().contains("at most 256 KiB"));
        assert_eq!(lines[0].event.as_ref().unwrap().id.len(), 36);
    }
}
