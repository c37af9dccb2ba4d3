//! The service `History`.

use proto::{
    error::{ApiError, ErrorCode},
    internal::v1::{AttemptRecord, WebhookConfig},
    v1::{DeliveryStatus, ListEntriesRequest},
};
use tonic::Status;

use crate::{
    doubles::webhook,
    started::{START, Started, cancel, delivered, delivery_id, failed, record},
};

const ADMIN: &str = "system_admin@acme";

fn of(webhook_id: i64) -> ListEntriesRequest {
    ListEntriesRequest { webhook_id, ..ListEntriesRequest::default() }
}

fn code(status: &Status) -> ErrorCode {
    ApiError::from(status).code
}

#[tokio::test]
async fn a_delivery_is_shown_whole() {
    let history = Started::new().await;
    history.record(vec![record(1, 1, failed(START + 600)), record(2, 1, cancel())]).await;
    let delivery = history.get(ADMIN, delivery_id(1)).await.unwrap();
    assert_eq!((delivery.status(), delivery.webhook_id), (DeliveryStatus::Pending, 1));
    assert_eq!(delivery.created_at.unwrap().seconds, START / 1_000_000);
    let [made, waits] = delivery.entries.as_slice() else { panic!("{delivery:?}") };
    assert_eq!(made.id, domain::entry_id(delivery_id(1), 1).to_string());
    assert_eq!((made.status(), made.response_code, made.duration_us), (DeliveryStatus::Failed, 500, 5));
    let (request, response) = (made.request.clone().unwrap(), made.response.clone().unwrap());
    assert_eq!((request.headers[0].name.as_str(), &request.body[..]), ("user-agent", &b"{}"[..]));
    assert_eq!((response.headers[0].name.as_str(), &response.body[..]), ("x-one", &b"sorry"[..]));
    assert!(response.truncated);
    assert_eq!((waits.status(), waits.attempt), (DeliveryStatus::Pending, 2));
    assert_eq!((waits.waits_for.as_str(), waits.request.clone()), ("", None));
    assert!(waits.due_at.is_some());
    let cancelled = history.get(ADMIN, delivery_id(2)).await.unwrap();
    assert_eq!((cancelled.status(), cancelled.entries[0].request.clone()), (DeliveryStatus::Failed, None));
}

#[tokio::test]
async fn roles_and_instances_see_what_is_theirs() {
    let history = Started::new().await;
    history.subscription.save(webhook(1, true));
    history.subscription.save(WebhookConfig { all_projects: false, projects: vec![1], ..webhook(2, true) });
    history.subscription.save(WebhookConfig { deleted: true, ..webhook(3, false) });
    let elsewhere = |mut record: AttemptRecord| {
        record.delivery.as_mut().unwrap().project_id = 2;
        record
    };
    history.record(vec![record(1, 1, delivered()), elsewhere(record(5, 1, delivered()))]).await;

    for token in ["member@acme", "publisher@acme"] {
        assert_eq!(code(&history.list(token, of(1)).await.unwrap_err()), ErrorCode::Forbidden);
        assert_eq!(code(&history.get(token, delivery_id(1)).await.unwrap_err()), ErrorCode::Forbidden);
    }
    assert_eq!(code(&history.list("nobody", of(1)).await.unwrap_err()), ErrorCode::Unauthenticated);

    let mine = "project_admin@acme:1";
    assert_eq!(code(&history.list(mine, of(0)).await.unwrap_err()), ErrorCode::Forbidden);
    assert_eq!(history.list(mine, of(1)).await.unwrap().entries.len(), 1);
    assert!(history.list(mine, of(2)).await.unwrap().entries.is_empty(), "its webhook, without entries");
    for hidden in [3, 5, 99] {
        assert_eq!(code(&history.list(mine, of(hidden)).await.unwrap_err()), ErrorCode::NotFound, "{hidden}");
    }
    assert!(history.get(mine, delivery_id(1)).await.is_ok());
    assert_eq!(code(&history.get(mine, delivery_id(5)).await.unwrap_err()), ErrorCode::NotFound);
    assert_eq!(code(&history.list("project_admin@acme:2", of(1)).await.unwrap_err()), ErrorCode::NotFound);

    assert_eq!(history.list(ADMIN, of(0)).await.unwrap().entries.len(), 2);
    assert!(history.list(ADMIN, of(3)).await.unwrap().entries.is_empty());
    assert_eq!(code(&history.list(ADMIN, of(99)).await.unwrap_err()), ErrorCode::NotFound);
    let other = "system_admin@other";
    assert!(history.list(other, of(0)).await.unwrap().entries.is_empty());
    assert_eq!(code(&history.list(other, of(1)).await.unwrap_err()), ErrorCode::NotFound);
    let same = [delivery_id(1).to_string(), delivery_id(77).to_string(), "no-uuid".to_owned()];
    for id in same {
        let status = history.get(other, id).await.unwrap_err();
        assert_eq!((code(&status), status.message()), (ErrorCode::NotFound, "there is no such delivery"));
    }
    // A webhook that was made a moment ago is known at once.
    history.subscription.save(webhook(42, true));
    assert!(history.list(ADMIN, of(42)).await.unwrap().entries.is_empty());
}

#[tokio::test]
async fn pages_lead_forth_and_back() {
    let history = Started::new().await;
    let records = (1..=40).map(|webhook| {
        let mut record = record(webhook, 1, delivered());
        record.delivery.as_mut().unwrap().project_id = 1;
        record
    });
    history.record(records.collect()).await;
    let page = async |cursor: &str| {
        let request = ListEntriesRequest { per_page: 15, cursor: cursor.to_owned(), ..of(0) };
        history.list(ADMIN, request).await.unwrap()
    };
    let first = page("").await;
    let second = page(&first.next_cursor).await;
    let third = page(&second.next_cursor).await;
    let sizes = [&first, &second, &third].map(|page| page.entries.len());
    assert_eq!((sizes, first.prev_cursor.as_str(), third.next_cursor.as_str()), ([15, 15, 10], "", ""));
    assert_eq!(page(&third.prev_cursor).await.entries, second.entries);
    assert_eq!(page(&second.prev_cursor).await.entries, first.entries);
    assert_eq!(page(&second.prev_cursor).await.prev_cursor, "");
    assert!(first.entries[0].request.is_none() && first.entries[0].response.is_none());
    let whole = history.list(ADMIN, of(0)).await.unwrap();
    assert_eq!(whole.entries.len(), 40);
    let failed = ListEntriesRequest { status: DeliveryStatus::Failed.into(), ..of(0) };
    assert!(history.list(ADMIN, failed).await.unwrap().entries.is_empty());
}

#[tokio::test]
async fn bad_requests_name_the_field() {
    let history = Started::new().await;
    for (request, expected, field) in [
        (ListEntriesRequest { per_page: 20, ..of(0) }, ErrorCode::Validation, "per_page"),
        (ListEntriesRequest { per_page: -1, ..of(0) }, ErrorCode::Validation, "per_page"),
        (ListEntriesRequest { status: 9, ..of(0) }, ErrorCode::Validation, "status"),
        (ListEntriesRequest { cursor: "x".into(), ..of(0) }, ErrorCode::Malformed, "cursor"),
    ] {
        let error = ApiError::from(&history.list(ADMIN, request).await.unwrap_err());
        assert_eq!((error.code, error.fields[0].0.as_str()), (expected, field));
    }
}
