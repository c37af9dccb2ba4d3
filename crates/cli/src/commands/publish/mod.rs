//! `publish`: events from a file or standard input, over gRPC.
//!
//! `lines.rs` reads, `chunks.rs` makes events of it and puts them together, `publisher.rs` publishes them.

mod chunks;
mod lines;
mod publisher;

use std::{
    path::{Path, PathBuf},
    pin::pin,
    process::ExitCode,
};

use anyhow::{Context as _, bail};
use clap::Args;
use futures::{StreamExt as _, stream};
use proto::v1::Event;
use runtime::config::Config;
use tokio::io::AsyncRead;
use tokio_util::sync::CancellationToken;

use self::{
    chunks::{Chunks, Prepared},
    publisher::Published,
};
use super::read_token;
use crate::out;

pub(crate) use publisher::Publisher;

/// So many chunks are on their way at once.
const CHUNKS_UNDER_WAY: usize = 4;

#[derive(Debug, Args)]
pub(crate) struct Publish {
    /// File with one JSON object a line; `-` reads standard input.
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// gRPC address; `grpc.listen` by default.
    #[arg(long, value_name = "ADDRESS")]
    server: Option<String>,
    /// File with a publisher's token; `publisher.token` in the data folder by default.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

impl Publish {
    pub(crate) async fn run(self, config: &Config) -> anyhow::Result<ExitCode> {
        let token = read_token(self.token_file.as_deref(), &config.data.dir, "publisher.token")?;
        let server = self.server.unwrap_or_else(|| config.grpc.listen.to_string());
        if self.file == Path::new("-") {
            return publish(&Publisher::connect(&server, &token).await?, tokio::io::stdin()).await;
        }
        let file = tokio::fs::File::open(&self.file).await;
        let file = file.with_context(|| format!("cannot read {}", self.file.display()))?;
        publish(&Publisher::connect(&server, &token).await?, file).await
    }
}

/// Publishes each line, and prints its id or what is wrong with it in the order of the lines.
async fn publish(publisher: &Publisher, input: impl AsyncRead + Unpin) -> anyhow::Result<ExitCode> {
    let mut chunks = Chunks::new(input);
    let mut report = Report::default();
    let stop = CancellationToken::new();
    {
        let source = stream::unfold(&mut chunks, async |chunks| Some((chunks.next().await?, chunks)));
        // What is under way when one has failed is waited for; nothing more is read then.
        let source = source.take_until(stop.cancelled());
        let mut results = pin!(source.map(|chunk| publish_chunk(publisher.clone(), chunk)).buffered(CHUNKS_UNDER_WAY));
        while let Some((results, failure)) = results.next().await {
            report.note(results)?;
            if let Some(failure) = failure {
                report.failure.get_or_insert(failure);
                stop.cancel();
            }
        }
    }
    let (rest, error) = chunks.rest();
    if let (Some(error), None) = (error, &report.failure) {
        report.failure = Some(format!("cannot read on: {error}"));
    }
    report.end(rest)
}

/// What became of each line of a chunk: `None` where the call failed, for a reason that is beside.
async fn publish_chunk(
    mut publisher: Publisher,
    chunk: Vec<Prepared>,
) -> (Vec<(usize, Option<Published>)>, Option<String>) {
    let events: Vec<Event> = chunk.iter().filter_map(|line| line.event.as_ref().ok().cloned()).collect();
    let answers = publisher.publish(&events).await;
    let mut results = answers.results.into_iter();
    let result = |line: Prepared| match line.event {
        Ok(_) => (line.number, results.next().flatten()),
        Err(error) => (line.number, Some(Err(error))),
    };
    (chunk.into_iter().map(result).collect(), answers.failure)
}

/// What is told of the lines.
#[derive(Debug, Default)]
struct Report {
    refused: usize,
    failure: Option<String>,
    /// First and last of lines in a row that the failure left unpublished.
    left: Vec<(usize, usize)>,
    in_row: bool,
}

impl Report {
    /// Prints ids and errors.
    fn note(&mut self, results: Vec<(usize, Option<Published>)>) -> anyhow::Result<()> {
        let mut ids = String::new();
        for (number, result) in results {
            match result {
                Some(Ok(id)) => {
                    ids.push_str(&id);
                    ids.push('\n');
                    self.in_row = false;
                }
                Some(Err(error)) => {
                    // In order also where both go to one place.
                    out::write(format_args!("{}", std::mem::take(&mut ids)))?;
                    out::complain(format_args!("line {number}: {error}"));
                    self.refused += 1;
                }
                None => match self.left.last_mut().filter(|_| self.in_row) {
                    Some((_, last)) => *last = number,
                    None => {
                        self.left.push((number, number));
                        self.in_row = true;
                    }
                },
            }
        }
        out::write(format_args!("{ids}"))
    }

    /// The status, or what ended it, with the lines that were not published.
    fn end(self, rest: Option<usize>) -> anyhow::Result<ExitCode> {
        let Some(failure) = self.failure else {
            return Ok(if self.refused == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        };
        let row = |(first, last): (usize, usize)| {
            if first == last { format!("line {first}") } else { format!("lines {first} to {last}") }
        };
        let rows = self.left.into_iter().map(row);
        let left: Vec<String> = rows.chain(rest.map(|first| format!("everything from line {first} on"))).collect();
        bail!("{failure}; not published: {}", left.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_published_is_told() {
        let mut report = Report { failure: Some("the token is wrong".into()), ..Report::default() };
        let refused = || Some(Err("is wrong".to_owned()));
        report.note(vec![(1, None), (2, refused()), (4, None)]).unwrap();
        report.note(vec![(5, None), (6, Some(Ok("id".into()))), (7, None)]).unwrap();
        assert_eq!(
            report.end(Some(9)).unwrap_err().to_string(),
            "the token is wrong; not published: lines 1 to 5, line 7, everything from line 9 on"
        );
        let mut report = Report::default();
        report.note(vec![(1, refused())]).unwrap();
        assert_eq!(report.end(None).unwrap(), ExitCode::FAILURE);
    }
}
