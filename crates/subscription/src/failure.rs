//! What callers are told when the fault is ours; the details are for the log.

use proto::error::{ApiError, ErrorCode};

use crate::{secret_box::SecretBoxError, store::StoreError};

/// A call of the store failed.
pub(crate) fn of_store(error: StoreError) -> ApiError {
    match error {
        StoreError::Unavailable(_) => {
            tracing::warn!(%error, "the database of the subscription service cannot be used; check database.url");
            ApiError::new(ErrorCode::Unavailable, "the database cannot be used now; try again")
        }
        StoreError::Refused(_) | StoreError::Damaged { .. } => {
            tracing::error!(%error, "the database of the subscription service failed");
            ApiError::new(ErrorCode::Internal, "the database failed; the log of the subscription service says why")
        }
    }
}

/// A secret could not be sealed.
pub(crate) fn of_sealing(error: SecretBoxError) -> ApiError {
    tracing::error!(%error, "a signing secret cannot be sealed");
    ApiError::new(
        ErrorCode::Internal,
        "the signing secret cannot be stored; the log of the subscription service says why",
    )
}

/// A new random text was there already.
pub(crate) fn of_randomness() -> ApiError {
    tracing::error!("a new token has the text of another one: this machine's random numbers are not random");
    ApiError::new(ErrorCode::Internal, "a new token could not be made; the log of the subscription service says why")
}

/// The secrets of a webhook cannot be read.
pub(crate) fn of_opening(webhook: i64, error: &impl std::error::Error) -> ApiError {
    tracing::error!(webhook, %error, "the secrets of a webhook cannot be read");
    let message = format!(
        "the secrets of webhook {webhook} cannot be read; the log of the subscription service says why. Delete the \
         webhook and create it again if they are lost"
    );
    ApiError::new(ErrorCode::Internal, message)
}

/// An entry of a change log cannot be written or read as JSON.
pub(crate) fn of_log(error: &serde_json::Error) -> ApiError {
    tracing::error!(%error, "an entry of a change log is not what it should be");
    ApiError::new(ErrorCode::Internal, "the change log is damaged; the log of the subscription service says why")
}

/// A member of a webhook is none that this program knows.
pub(crate) fn of_webhook(webhook: i64, error: &impl std::fmt::Display) -> ApiError {
    tracing::error!(webhook, %error, "a webhook cannot be read; was it saved by a newer program?");
    let message = format!("webhook {webhook} cannot be read; the log of the subscription service says why");
    ApiError::new(ErrorCode::Internal, message)
}

/// A sample event has no payload.
pub(crate) fn of_sample(error: &impl std::fmt::Display) -> ApiError {
    tracing::error!(%error, "a sample event cannot be rendered");
    ApiError::new(ErrorCode::Internal, "the sample cannot be made; the log of the subscription service says why")
}
