//! The service `History`.

use proto::{
    error::{ApiError, ErrorCode},
    internal::v1::{AttemptRecord, WebhookConfig},
    v1::{DeliveryStatus, ListEntriesRequest, Timings},
};
use tonic::Status;

use crate::{
    doubles::{webhook, webhook_for},
    started::{START, Started, cancel, delivered, delivered_at, delivery_id, failed, record},
};

const ADMIN: &str = "system_admin@acme";
/// That of [`TRACE`](crate::started::TRACE).
const TRACE_ID: &str = "697473206f776e207472616365206964";

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
    assert_eq!((request.body_sha256, request.secret_ids), ("ab".repeat(32), vec![3, 2]));
    let timings = Timings { dns_us: Some(1), first_byte_us: Some(4), total_us: 5, ..Timings::default() };
    assert_eq!(made.timings, Some(timings));
    assert_eq!(made.trace_id, TRACE_ID);
    assert_eq!((waits.status(), waits.attempt), (DeliveryStatus::Pending, 2));
    assert_eq!((waits.waits_for.as_str(), waits.request.clone()), ("", None));
    assert!(waits.due_at.is_some());
    let cancelled = history.get(ADMIN, delivery_id(2)).await.unwrap();
    assert_eq!((cancelled.status(), cancelled.entries[0].request.clone()), (DeliveryStatus::Failed, None));
    assert_eq!((cancelled.entries[0].timings, cancelled.entries[0].trace_id.as_str()), (None, TRACE_ID));
    let listed = history.list(ADMIN, of(0)).await.unwrap().entries;
    assert!(listed.iter().all(|entry| entry.timings.is_none() && entry.trace_id.is_empty()), "the small form");
}

#[tokio::test]
async fn roles_and_instances_see_what_is_theirs() {
    let history = Started::new().await;
    history.subscription.save(webhook_for(1, &[1]));
    history.subscription.save(webhook_for(2, &[1]));
    history.subscription.save(WebhookConfig { deleted: true, ..webhook(3, false) });
    history.subscription.save(webhook_for(5, &[1]));
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
    assert!(history.list(mine, of(5)).await.unwrap().entries.is_empty(), "its webhook, another project's entries");
    for hidden in [3, 99] {
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

/// Each way to ask for the entries of a webhook.
fn filters(webhook_id: i64, cursor: &str) -> [ListEntriesRequest; 6] {
    use DeliveryStatus::{Delivered, Failed, Pending};
    let with = |status: DeliveryStatus| ListEntriesRequest { status: status.into(), ..of(webhook_id) };
    [
        of(webhook_id),
        with(Pending),
        with(Delivered),
        with(Failed),
        ListEntriesRequest { cursor: cursor.to_owned(), ..of(webhook_id) },
        ListEntriesRequest { cursor: cursor.to_owned(), ..with(Failed) },
    ]
}

#[tokio::test]
async fn a_webhook_is_there_or_not_whatever_the_filter() {
    let history = Started::new().await;
    history.subscription.save(webhook_for(1, &[1]));
    history.subscription.save(webhook(2, true));
    history.subscription.save(webhook_for(3, &[1, 2]));
    history.subscription.save(webhook_for(4, &[2]));
    history.subscription.save(WebhookConfig { deleted: true, all_projects: false, ..webhook(5, false) });
    history.subscription.save(WebhookConfig { instance: "other".into(), ..webhook_for(6, &[1]) });
    // All of `acme` and of project 1, even those of webhooks that are not for it (any more).
    let ids = [1, 2, 3, 4, 5, 6];
    history.record(ids.map(|id| record(id, 1, delivered())).to_vec()).await;
    let cursor = {
        let record = |id| record(id, 1, failed(0));
        history.record((100..120).map(record).collect()).await;
        let request = ListEntriesRequest { per_page: 15, ..of(0) };
        history.list(ADMIN, request).await.unwrap().next_cursor
    };

    let mine = "project_admin@acme:1";
    for (token, seen) in [(mine, [1].as_slice()), (ADMIN, &[1, 2, 3, 4, 5]), ("project_admin@acme:1,2", &[1, 3, 4])] {
        for id in [1, 2, 3, 4, 5, 6, 99] {
            for request in filters(id, &cursor) {
                let found = history.list(token, request.clone()).await.map(drop).map_err(|status| code(&status));
                let expected = match seen.contains(&id) {
                    false => Err(ErrorCode::NotFound),
                    // It is another list's.
                    true if !request.cursor.is_empty() => Err(ErrorCode::Malformed),
                    true => Ok(()),
                };
                assert_eq!(found, expected, "{token}: {request:?}");
            }
        }
    }
    for id in ids {
        let found = history.get(mine, delivery_id(id)).await.map(drop);
        match id {
            1 => assert!(found.is_ok()),
            _ => assert_eq!(found.unwrap_err().message(), "there is no such delivery", "{id}"),
        }
        assert!(history.get(ADMIN, delivery_id(id)).await.is_ok(), "{id}");
    }
    // What is saved counts at once.
    history.subscription.save(webhook_for(1, &[1, 2]));
    assert_eq!(code(&history.list(mine, of(1)).await.unwrap_err()), ErrorCode::NotFound);
    history.subscription.save(webhook_for(1, &[1]));
    assert_eq!(history.list(mine, of(1)).await.unwrap().entries.len(), 1);
    history.subscription.save(WebhookConfig { deleted: true, ..webhook_for(1, &[]) });
    assert_eq!(code(&history.get(mine, delivery_id(1)).await.unwrap_err()), ErrorCode::NotFound);
}

#[tokio::test]
async fn entries_of_a_deleted_project_are_orphaned_at_once() {
    let history = Started::new().await;
    history.subscription.save(webhook(1, true));
    history.subscription.save(webhook_for(2, &[1]));
    let mut elsewhere = record(3, 1, delivered());
    elsewhere.delivery.as_mut().unwrap().project_id = 2;
    history.record(vec![record(1, 1, failed(START + 600)), record(2, 1, delivered()), elsewhere]).await;
    let orphaned = async || {
        let listed = history.list(ADMIN, of(0)).await.unwrap().entries;
        let mut orphaned: Vec<_> =
            listed.iter().map(|entry| (entry.webhook_id, entry.attempt, entry.orphaned)).collect();
        orphaned.sort_unstable();
        orphaned
    };
    let whole = async |webhook: i64, token: &str| {
        let delivery = history.get(token, delivery_id(webhook)).await.unwrap();
        assert!(delivery.entries.iter().all(|entry| entry.orphaned == delivery.orphaned));
        delivery.orphaned
    };
    // The same project of another instance is another project.
    history.subscription.delete_project("other", 1);
    assert_eq!(orphaned().await, [(1, 1, false), (1, 2, false), (2, 1, false), (3, 1, false)]);
    assert!(!whole(1, ADMIN).await && !whole(2, "project_admin@acme:1").await);

    history.subscription.delete_project("acme", 1);
    assert_eq!(orphaned().await, [(1, 1, true), (1, 2, true), (2, 1, true), (3, 1, false)]);
    history.subscription.delete_project("acme", 2);
    assert!(whole(3, ADMIN).await, "also if nothing was listed since");
    assert!(whole(1, ADMIN).await && whole(2, "project_admin@acme:1").await);

    history.subscription.go_away();
    assert_eq!(orphaned().await, [(1, 1, true), (1, 2, true), (2, 1, true), (3, 1, true)]);
    assert!(whole(1, ADMIN).await, "what is known serves");
}

#[tokio::test]
async fn what_is_known_of_a_webhook_serves_while_nobody_can_be_asked() {
    let history = Started::new().await;
    history.subscription.save(webhook_for(1, &[1]));
    history.subscription.save(webhook(2, true));
    let mine = "project_admin@acme:1";
    assert!(history.list(mine, of(1)).await.is_ok());
    history.subscription.go_away();
    assert!(history.list(mine, of(1)).await.is_ok() && history.list(ADMIN, of(2)).await.is_ok());
    assert_eq!(code(&history.list(mine, of(2)).await.unwrap_err()), ErrorCode::NotFound);
    for token in [mine, ADMIN] {
        assert_eq!(code(&history.list(token, of(99)).await.unwrap_err()), ErrorCode::Unavailable, "{token}");
    }
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

/// So long after the start.
fn at(seconds: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds: START / 1_000_000 + seconds, nanos: 0 })
}

#[tokio::test]
async fn lists_are_filtered_and_a_cursor_stays_with_its_filter() {
    let history = Started::new().await;
    let records = (0..60).map(|number| {
        let mut record = record(number + 1, 1, delivered_at(START + 1_000_000 * number));
        let delivery = record.delivery.as_mut().unwrap();
        delivery.event_type = if number % 3 == 0 { "run.created" } else { "run.completed" }.to_owned();
        delivery.is_test = number % 20 == 0;
        record
    });
    history.record(records.collect()).await;
    history.subscription.save(webhook(21, true));
    let count = async |request: ListEntriesRequest| history.list(ADMIN, request).await.unwrap().entries.len();
    let created = ListEntriesRequest { event_type: "run.created".into(), ..of(0) };
    assert_eq!(count(of(0)).await, 60);
    assert_eq!(count(created.clone()).await, 20);
    assert_eq!(count(ListEntriesRequest { from: at(10), to: at(30), ..of(0) }).await, 20);
    assert_eq!(count(ListEntriesRequest { from: at(10), to: at(30), ..created.clone() }).await, 6);
    assert_eq!(count(ListEntriesRequest { is_test: Some(true), ..of(0) }).await, 3);
    assert_eq!(count(ListEntriesRequest { is_test: Some(false), ..of(0) }).await, 57);
    assert_eq!(count(ListEntriesRequest { is_test: Some(true), ..created.clone() }).await, 1);
    assert_eq!(count(ListEntriesRequest { is_test: Some(true), webhook_id: 21, ..of(0) }).await, 1);

    let page = ListEntriesRequest { per_page: 15, ..created };
    let cursor = history.list(ADMIN, page.clone()).await.unwrap().next_cursor;
    assert_eq!(count(ListEntriesRequest { cursor: cursor.clone(), ..page.clone() }).await, 5);
    assert_eq!(count(ListEntriesRequest { cursor: cursor.clone(), per_page: 25, ..page.clone() }).await, 5);
    for other in [
        ListEntriesRequest { event_type: String::new(), ..page.clone() },
        ListEntriesRequest { from: at(1), ..page.clone() },
        ListEntriesRequest { is_test: Some(false), ..page.clone() },
        ListEntriesRequest { status: DeliveryStatus::Delivered.into(), ..page },
    ] {
        let refused = history.list(ADMIN, ListEntriesRequest { cursor: cursor.clone(), ..other }).await.unwrap_err();
        assert_eq!(code(&refused), ErrorCode::Malformed);
    }
}

#[tokio::test]
async fn bad_requests_name_the_field() {
    let history = Started::new().await;
    for (request, expected, field) in [
        (ListEntriesRequest { per_page: 20, ..of(0) }, ErrorCode::Validation, "per_page"),
        (ListEntriesRequest { per_page: -1, ..of(0) }, ErrorCode::Validation, "per_page"),
        (ListEntriesRequest { status: 9, ..of(0) }, ErrorCode::Validation, "status"),
        (ListEntriesRequest { cursor: "x".into(), ..of(0) }, ErrorCode::Malformed, "cursor"),
        (ListEntriesRequest { event_type: "run.*".into(), ..of(0) }, ErrorCode::Validation, "event_type"),
        (ListEntriesRequest { from: at(7), to: at(7), ..of(0) }, ErrorCode::Validation, "to"),
    ] {
        let error = ApiError::from(&history.list(ADMIN, request).await.unwrap_err());
        assert_eq!((error.code, error.fields[0].0.as_str()), (expected, field));
    }
}
