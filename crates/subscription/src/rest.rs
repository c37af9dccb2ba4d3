//! The gateway (REST and console), which lives in this service's process.

use domain::EventType;
use gateway::{Catalogue, InvalidSample, Services, Sessions};
use payload::{render_generic, sample};
use proto::channel::GrpcChannel;

/// The REST API and the console over these services. The channels carry no credential: calls are made in the caller's
/// name.
///
/// # Errors
/// A sample event that cannot be rendered, which tests exclude.
pub fn rest(webhooks: GrpcChannel, history: GrpcChannel, sessions: Sessions) -> Result<gateway::Router, InvalidSample> {
    let catalogue = Catalogue::new(|kind: EventType| render_generic(&sample(kind), false))?;
    Ok(gateway::router(Services { webhooks, history, catalogue, sessions }))
}
