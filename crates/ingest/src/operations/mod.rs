//! What the operator of the service does with parked messages. Ingest has it because it has the broker, and knows callers
//! by their tokens, in both modes.
//!
//! `content.rs` says what is in a parked message, `gauge.rs` how many there are.

mod content;
mod gauge;

use std::sync::Arc;

use broker::{BrokerError, Lane, Parked, ParkedSelection};
use domain::{Identity, Timestamp};
use proto::{
    convert,
    error::{ApiError, ErrorCode},
    v1::{self, operations_server::Operations},
};
use tonic::{Request, Response, Status};

use self::content::{content, shortened};
pub(crate) use self::gauge::watch;
use crate::Parts;

/// Messages shown if nobody says how many.
const DEFAULT_LIMIT: u32 = 100;
/// Messages shown, or named by id, in a call at most.
const MAX_MESSAGES: u32 = 1_000;
/// Characters of a reason that are shown, so that an answer stays within what a gRPC client takes.
const REASON_CHARACTERS: usize = 500;

pub(crate) struct ParkedMessages {
    parts: Arc<Parts>,
}

impl ParkedMessages {
    pub(crate) fn new(parts: Arc<Parts>) -> Self {
        Self { parts }
    }

    /// Who calls, if it is the operator of the service: the queue holds messages of all instances.
    async fn operator<T>(&self, request: &Request<T>) -> Result<Identity, Status> {
        let caller = runtime::admitted(&*self.parts.authenticator, request.extensions(), request.metadata()).await?;
        if caller.is_operator() {
            return Ok(caller);
        }
        let text = "parked messages are of all instances: use a token of role system_admin of the instance `default`";
        Err(ApiError::new(ErrorCode::Forbidden, text).into())
    }
}

#[tonic::async_trait]
impl Operations for ParkedMessages {
    async fn list_parked(
        &self,
        request: Request<v1::ListParkedRequest>,
    ) -> Result<Response<v1::ListParkedResponse>, Status> {
        self.operator(&request).await?;
        let limit = limit(request.into_inner().limit)?;
        // Before the list: what is being listed may be missing from the count.
        let counted = self.parts.broker.parked_depth().await;
        let counted = counted.map_err(|reason| ApiError::new(ErrorCode::Unavailable, reason))?;
        let parked = self.parts.broker.parked(limit).await.map_err(|error| failed(&error))?;
        let total = counted.max(parked.len() as u64);
        Ok(Response::new(v1::ListParkedResponse { messages: parked.into_iter().map(message).collect(), total }))
    }

    async fn requeue_parked(
        &self,
        request: Request<v1::RequeueParkedRequest>,
    ) -> Result<Response<v1::RequeueParkedResponse>, Status> {
        let caller = self.operator(&request).await?;
        let v1::RequeueParkedRequest { ids, all, lane } = request.into_inner();
        let selection = selection(ids, all, &lane)?;
        announce("requeue", &caller, &selection);
        let moved = self.parts.broker.requeue_parked(&selection).await;
        tell("requeued", &moved);
        Ok(Response::new(v1::RequeueParkedResponse { requeued: moved.map_err(|error| failed(&error))? }))
    }

    async fn drop_parked(
        &self,
        request: Request<v1::DropParkedRequest>,
    ) -> Result<Response<v1::DropParkedResponse>, Status> {
        let caller = self.operator(&request).await?;
        let v1::DropParkedRequest { ids, all, lane } = request.into_inner();
        let selection = selection(ids, all, &lane)?;
        announce("drop", &caller, &selection);
        let moved = self.parts.broker.drop_parked(&selection).await;
        tell("dropped", &moved);
        Ok(Response::new(v1::DropParkedResponse { dropped: moved.map_err(|error| failed(&error))? }))
    }
}

/// Logs who does what: dropped messages leave no other trace. Before it is done, because a caller who goes away in between
/// ends the call and not what was done.
fn announce(what: &'static str, caller: &Identity, selection: &ParkedSelection) {
    let lane = selection.lane().map_or("any", Lane::name);
    let ids = match selection {
        ParkedSelection::All { .. } => None,
        ParkedSelection::Ids { ids, .. } => Some(ids),
    };
    tracing::info!(?caller, all = ids.is_none(), ?ids, lane, "asked to {what} parked messages");
}

fn tell(done: &'static str, moved: &Result<u64, BrokerError>) {
    match moved {
        Ok(count) => tracing::info!(count, "parked messages {done}"),
        Err(error) => tracing::warn!(%error, "not all parked messages could be {done}"),
    }
}

fn limit(asked: u32) -> Result<usize, ApiError> {
    if asked > MAX_MESSAGES {
        return Err(invalid("limit", format!("must be 1 to {MAX_MESSAGES}, or 0 for {DEFAULT_LIMIT}, not {asked}")));
    }
    let limit = if asked == 0 { DEFAULT_LIMIT } else { asked };
    Ok(usize::try_from(limit).unwrap_or(usize::MAX))
}

/// The messages that are meant. All of them only if that is said: a list of ids that came out empty must not do it.
fn selection(ids: Vec<String>, all: bool, lane: &str) -> Result<ParkedSelection, ApiError> {
    let lane = match lane {
        "" => None,
        name => Some(lane_called(name)?),
    };
    match (ids.len(), all) {
        (0, true) => Ok(ParkedSelection::All { lane }),
        (0, false) => Err(invalid("ids", "name at least one message, or set all".to_owned())),
        (_, true) => Err(invalid("all", "must not be set together with ids".to_owned())),
        (count, false) if count > MAX_MESSAGES as usize => {
            Err(invalid("ids", format!("must be at most {MAX_MESSAGES}, not {count}")))
        }
        (_, false) => Ok(ParkedSelection::Ids { ids: ids.into_iter().collect(), lane }),
    }
}

fn lane_called(name: &str) -> Result<Lane, ApiError> {
    Lane::ALL.into_iter().find(|lane| lane.name() == name).ok_or_else(|| {
        let names = Lane::ALL.map(Lane::name).join(", ");
        invalid("lane", format!("must be one of {names}, or empty for any"))
    })
}

fn invalid(field: &str, text: String) -> ApiError {
    ApiError::fields(vec![(field.to_owned(), text)])
}

fn failed(error: &BrokerError) -> ApiError {
    ApiError::new(ErrorCode::Unavailable, error.to_string())
}

fn message(parked: Parked) -> v1::ParkedMessage {
    v1::ParkedMessage {
        content: parked.lane.and_then(|lane| content(lane, &parked.body)),
        id: parked.id,
        lane: parked.lane.map_or("", Lane::name).to_owned(),
        reason: shortened(parked.reason, REASON_CHARACTERS),
        parked_at: parked.parked_at.map(|at| convert::timestamp(Timestamp::from_micros(at))),
        bytes: parked.bytes,
        redeliveries: parked.redeliveries,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_never_meant_by_accident() {
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        assert_eq!(selection(ids(&[]), true, "").unwrap(), ParkedSelection::All { lane: None });
        let lane = Some(Lane::DeliverFast);
        assert_eq!(selection(ids(&[]), true, "deliver.fast").unwrap(), ParkedSelection::All { lane });
        let named = ParkedSelection::Ids { ids: ["a", "b"].map(str::to_owned).into(), lane };
        assert_eq!(selection(ids(&["b", "a", "b"]), false, "deliver.fast").unwrap(), named);
        let many = vec!["a".to_owned(); 1_001];
        for (ids, all, lane, field) in [
            (ids(&[]), false, "", "ids"),
            (ids(&["a"]), true, "", "all"),
            (many, false, "", "ids"),
            (ids(&["a"]), false, "parked", "lane"),
            (ids(&[]), true, "Events", "lane"),
        ] {
            let error = selection(ids, all, lane).unwrap_err();
            assert_eq!((error.code, error.fields[0].0.as_str()), (ErrorCode::Validation, field), "{error}");
        }
    }

    #[test]
    fn a_limit_has_bounds() {
        assert_eq!([limit(0).unwrap(), limit(1).unwrap(), limit(1_000).unwrap()], [100, 1, 1_000]);
        assert!(limit(1_001).unwrap_err().message.contains("1 to 1000"));
    }
}
