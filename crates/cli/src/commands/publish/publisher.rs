//! Calls that publish events.

use std::time::Duration;

use proto::v1::{Event, PublishBatchRequest, events_client::EventsClient};
use tokio::time::Instant;
use tonic::{Code, Status, transport::Channel};

use crate::grpc::{self, Authorization, refusal};

/// How long an event is published again while the server is unavailable.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(200);

/// An event's id, or why it was not taken.
pub(crate) type Published = Result<String, String>;

/// What became of events.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// One for each event; `None`: it was not published because of `failure`.
    pub(crate) results: Vec<Option<Published>>,
    /// Why no other call would do better.
    pub(crate) failure: Option<String>,
}

/// A connection in a publisher's name.
#[derive(Clone)]
pub(crate) struct Publisher {
    client: EventsClient<Channel>,
    authorization: Authorization,
}

impl Publisher {
    pub(crate) async fn connect(server: &str, token: &str) -> anyhow::Result<Self> {
        let channel = grpc::connect(server).await?;
        Ok(Self { client: EventsClient::new(channel), authorization: Authorization::new(token)? })
    }

    /// Publishes events that have ids; again and again those for which the server is unavailable.
    pub(crate) async fn publish(&mut self, events: &[Event]) -> Answers {
        let mut results: Vec<Option<Published>> = vec![None; events.len()];
        let deadline = Instant::now() + PATIENCE;
        loop {
            let open: Vec<usize> = (0..events.len()).filter(|index| results[*index].is_none()).collect();
            if open.is_empty() {
                return Answers { results, failure: None };
            }
            let last = Instant::now() >= deadline;
            match self.call(open.iter().map(|index| events[*index].clone()).collect()).await {
                Ok(answers) => {
                    let missing = std::iter::repeat_with(|| Err((Code::Unknown, "got no result".to_owned())));
                    for (index, answer) in open.into_iter().zip(answers.into_iter().chain(missing)) {
                        match answer {
                            Err((Code::Unavailable | Code::ResourceExhausted, _)) if !last => {}
                            answer => results[index] = Some(answer.map_err(|(_, text)| text)),
                        }
                    }
                }
                Err(status) if may_pass(&status) && !last => {}
                Err(status) if may_pass(&status) || concerns_all(&status) => {
                    return Answers { results, failure: Some(refusal(&status)) };
                }
                Err(status) => {
                    for index in open {
                        results[index] = Some(Err(refusal(&status)));
                    }
                }
            }
            if results.iter().any(Option::is_none) {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    async fn call(&mut self, events: Vec<Event>) -> Result<Vec<Result<String, (Code, String)>>, Status> {
        let request = self.authorization.request(PublishBatchRequest { events });
        let answer = self.client.publish_batch(request).await?.into_inner();
        let results = answer.results.into_iter().map(|result| match result.error {
            None => Ok(result.id),
            Some(error) => Err((Code::from_i32(error.code), error.message)),
        });
        Ok(results.collect())
    }
}

/// Whether the server is away for now, or the connection broke: a server's answer has no source.
fn may_pass(status: &Status) -> bool {
    status.code() == Code::Unavailable || std::error::Error::source(status).is_some()
}

/// Whether it is about the caller or the server, not about the events of this call.
fn concerns_all(status: &Status) -> bool {
    matches!(status.code(), Code::Unauthenticated | Code::PermissionDenied | Code::Unimplemented)
}
