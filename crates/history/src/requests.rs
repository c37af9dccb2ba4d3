//! What callers of `History` ask for, as the store takes it, and why it does not do what they ask for.

use domain::EventType;
use proto::{
    convert::from_timestamp,
    error::{ApiError, ErrorCode},
    v1::{DeliveryStatus, ListEntriesRequest},
};
use tonic::Status as GrpcStatus;

use crate::{
    api::Reader,
    model::{NoRetry, Status},
    store::{ListQuery, Page, Sight},
};

/// How many are on a page.
pub(crate) const PAGE_SIZES: [usize; 4] = [15, 25, 50, 100];

/// Why there is no further attempt, for people.
pub(crate) const fn no_retry(why: NoRetry) -> &'static str {
    match why {
        NoRetry::Pending => "the delivery is pending: it waits for an attempt already",
        NoRetry::Delivered => "the delivery was delivered already",
        NoRetry::Overtaken => {
            "the delivery was tried again in the meantime, and failed again; look at it before a retry"
        }
        NoRetry::Exhausted => "the delivery has had 100 attempts, and may have no more",
        NoRetry::Bodiless => "what was sent is not in history any more, so that it cannot be sent again",
    }
}

/// What is asked for of what is seen, from its newest page on.
pub(crate) fn query(reader: &Reader, request: &ListEntriesRequest, sight: Sight) -> Result<ListQuery, GrpcStatus> {
    if request.webhook_id == 0 && reader.projects.is_some() {
        let message = "listing the entries of all webhooks needs a token of role system_admin";
        return Err(ApiError::new(ErrorCode::Forbidden, message).into());
    }
    let status = match DeliveryStatus::try_from(request.status) {
        Ok(DeliveryStatus::Unspecified) => None,
        Ok(DeliveryStatus::Pending) => Some(Status::Pending),
        Ok(DeliveryStatus::Delivered) => Some(Status::Delivered),
        Ok(DeliveryStatus::Failed) => Some(Status::Failed),
        Err(_) => return Err(field("status", "must be pending, delivered or failed")),
    };
    let limit = match usize::try_from(request.per_page) {
        Ok(0) => 100,
        Ok(size) if PAGE_SIZES.contains(&size) => size,
        _ => return Err(field("per_page", "must be 15, 25, 50 or 100")),
    };
    let [from, to] =
        [&request.from, &request.to].map(|time| time.as_ref().map(|time| from_timestamp(time).as_micros()));
    if from.zip(to).is_some_and(|(from, to)| from >= to) {
        return Err(field("to", "must be later than from"));
    }
    let event_type = Some(&request.event_type).filter(|name| !name.is_empty());
    if let Some(Err(error)) = event_type.map(|name| name.parse::<EventType>()) {
        return Err(field("event_type", &error.to_string()));
    }
    Ok(ListQuery {
        instance: reader.instance.clone(),
        webhook_id: Some(request.webhook_id).filter(|id| *id != 0),
        projects: reader.projects.clone(),
        status,
        event_type: event_type.cloned(),
        from,
        to,
        is_test: request.is_test,
        sight,
        page: Page::Newest,
        limit,
    })
}

/// A mistake in a field of a request.
pub(crate) fn field(name: &str, message: &str) -> GrpcStatus {
    ApiError::fields(vec![(name.to_owned(), message.to_owned())]).into()
}
