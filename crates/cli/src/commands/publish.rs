//! `publish`: events from a file or standard input, over gRPC.

use std::{
    path::{Path, PathBuf},
    pin::pin,
    process::ExitCode,
    time::Duration,
};

use anyhow::Context as _;
use clap::Args;
use futures::StreamExt as _;
use proto::{
    event::from_json,
    v1::{Event, PublishBatchRequest, events_client::EventsClient},
};
use runtime::config::Config;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio_stream::wrappers::LinesStream;
use tonic::{
    Code, Request, Status,
    metadata::{Ascii, MetadataValue},
    transport::Channel,
};

use super::read_token;

/// Lines that are published together, if so many are there.
const CHUNK: usize = 200;
/// So many chunks are on their way at once.
const CHUNKS_UNDER_WAY: usize = 4;
/// Bytes that are read ahead: what is in them is there together.
const BUFFER: usize = 1 << 20;
/// How long an event is published again while the server is unavailable.
const PATIENCE: Duration = Duration::from_secs(30);

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
        let publisher = Publisher::connect(&server, &token).await?;
        let refused = if self.file == Path::new("-") {
            publisher.lines(tokio::io::stdin()).await?
        } else {
            let file = tokio::fs::File::open(&self.file).await;
            let file = file.with_context(|| format!("cannot read {}", self.file.display()))?;
            publisher.lines(file).await?
        };
        Ok(if refused == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// An event's id, or why it was not taken.
type Published = Result<String, String>;

/// A connection in a publisher's name.
#[derive(Clone)]
pub(crate) struct Publisher {
    client: EventsClient<Channel>,
    authorization: MetadataValue<Ascii>,
}

impl Publisher {
    pub(crate) async fn connect(server: &str, token: &str) -> anyhow::Result<Self> {
        let address = if server.contains("://") { server.to_owned() } else { format!("http://{server}") };
        let mut endpoint =
            Channel::from_shared(address.clone()).with_context(|| format!("--server: `{server}` is not an address"))?;
        if address.starts_with("https://") {
            endpoint = endpoint.tls_config(tonic::transport::ClientTlsConfig::new().with_native_roots())?;
        }
        let channel = endpoint.connect_timeout(Duration::from_secs(5)).connect().await.with_context(|| {
            format!("cannot connect to {address}; is the server running there? name it with --server")
        })?;
        let authorization = format!("Bearer {token}").parse().context("the token is not fit for a header")?;
        Ok(Self { client: EventsClient::new(channel), authorization })
    }

    /// Publishes each line, prints its id or what is wrong with it, and answers how many were refused.
    async fn lines(&self, input: impl AsyncRead + Unpin) -> anyhow::Result<usize> {
        let lines = LinesStream::new(BufReader::with_capacity(BUFFER, input).lines());
        let numbered = lines.enumerate().map(|(index, line)| (index + 1, line));
        let mut chunks =
            pin!(numbered.ready_chunks(CHUNK).map(|chunk| self.clone().chunk(chunk)).buffered(CHUNKS_UNDER_WAY));
        let mut refused = 0;
        while let Some(results) = chunks.next().await {
            for (line, result) in results? {
                match result {
                    Ok(id) => println!("{id}"),
                    Err(error) => {
                        refused += 1;
                        eprintln!("line {line}: {error}");
                    }
                }
            }
        }
        Ok(refused)
    }

    /// What became of each line of a chunk that is not empty.
    async fn chunk(mut self, chunk: Vec<(usize, std::io::Result<String>)>) -> anyhow::Result<Vec<(usize, Published)>> {
        let mut read = Vec::with_capacity(chunk.len());
        for (number, line) in chunk {
            let line = line.with_context(|| format!("cannot read line {number}"))?;
            if !line.trim().is_empty() {
                read.push((number, from_json(&line).map(with_id).map_err(|error| error.to_string())));
            }
        }
        let events: Vec<Event> = read.iter().filter_map(|(_, event)| event.as_ref().ok().cloned()).collect();
        let mut results = self.publish(events).await?.into_iter();
        let mut result = |event: Result<Event, String>| {
            event.and_then(|_| results.next().unwrap_or_else(|| Err("got no result".to_owned())))
        };
        Ok(read.into_iter().map(|(number, event)| (number, result(event))).collect())
    }

    /// Publishes events that have ids; again and again those for which the server is unavailable. One result for each.
    pub(crate) async fn publish(&mut self, events: Vec<Event>) -> anyhow::Result<Vec<Published>> {
        let mut results: Vec<Option<Published>> = vec![None; events.len()];
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let open: Vec<usize> = (0..events.len()).filter(|index| results[*index].is_none()).collect();
            if open.is_empty() {
                return Ok(results.into_iter().flatten().collect());
            }
            let answers = self.once(open.iter().map(|index| events[*index].clone()).collect()).await?;
            let last = tokio::time::Instant::now() >= deadline;
            for (index, answer) in open.into_iter().zip(answers) {
                match answer {
                    Err((Code::Unavailable, _)) if !last => {}
                    answer => results[index] = Some(answer.map_err(|(_, text)| text)),
                }
            }
            if results.iter().any(Option::is_none) {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }

    async fn once(&mut self, events: Vec<Event>) -> anyhow::Result<Vec<Result<String, (Code, String)>>> {
        let count = events.len();
        let mut request = Request::new(PublishBatchRequest { events });
        request.metadata_mut().insert("authorization", self.authorization.clone());
        match self.client.publish_batch(request).await {
            Ok(answer) => Ok(answer
                .into_inner()
                .results
                .into_iter()
                .map(|result| match result.error {
                    None => Ok(result.id),
                    Some(error) => Err((Code::from_i32(error.code), error.message)),
                })
                .collect()),
            Err(status) if status.code() == Code::Unavailable => {
                Ok(vec![Err((Code::Unavailable, text(&status))); count])
            }
            Err(status) => anyhow::bail!("{}", text(&status)),
        }
    }
}

fn text(status: &Status) -> String {
    format!("{} ({:?})", status.message(), status.code())
}

/// With an id of its own, so that it can be published again without a second notification.
fn with_id(mut event: Event) -> Event {
    if event.id.is_empty() {
        event.id = domain::IdSource::uuid(&domain::SystemIds).to_string();
    }
    event
}
