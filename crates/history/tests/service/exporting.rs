//! Exports through the service.

use proto::{
    error::{ApiError, ErrorCode},
    v1::{DeliveryStatus, ExportEntriesRequest, ExportEntriesResponse, ExportedEntry, ListEntriesRequest},
};
use tonic::{Status, Streaming};

use crate::{
    doubles::webhook,
    started::{START, Started, delivered, eventually, failed, record},
};

const ADMIN: &str = "system_admin@acme";

fn all() -> ExportEntriesRequest {
    ExportEntriesRequest::default()
}

/// How many there are, and all that came of a stream that ended as it should.
async fn read(mut stream: Streaming<ExportEntriesResponse>) -> (i64, Vec<ExportedEntry>) {
    let first = stream.message().await.unwrap().unwrap();
    assert!(first.entries.is_empty() && !first.complete);
    let mut entries = Vec::new();
    let mut complete = false;
    while let Some(part) = stream.message().await.unwrap() {
        assert!(!complete, "nothing follows the last part");
        complete = part.complete;
        entries.extend(part.entries);
    }
    assert!(complete);
    (first.total, entries)
}

async fn code(asked: impl Future<Output = Result<Streaming<ExportEntriesResponse>, Status>>) -> ErrorCode {
    ApiError::from(&asked.await.err().unwrap()).code
}

#[tokio::test]
async fn an_export_has_the_entries_of_lists_whole() {
    let history = Started::new().await;
    history.subscription.save(webhook(1, true));
    history.record((1..=130).map(|webhook| record(webhook, 1, delivered())).collect()).await;
    history.record(vec![record(1, 2, failed(START + 600))]).await;
    history.subscription.delete_project("acme", 1);
    let listed = async |cursor: String| {
        let request = ListEntriesRequest { cursor, ..ListEntriesRequest::default() };
        history.list(ADMIN, request).await.unwrap()
    };
    let mut page = listed(String::new()).await;
    let mut expected = std::mem::take(&mut page.entries);
    expected.extend(listed(page.next_cursor).await.entries);
    assert_eq!(expected.len(), 131);

    let (total, exported) = read(history.export(ADMIN, all()).await.unwrap()).await;
    assert_eq!(total, 131);
    for (exported, listed) in exported.iter().zip(&expected) {
        let mut entry = exported.entry.clone().unwrap();
        assert!(entry.orphaned);
        let request = entry.request.take().unwrap();
        assert_eq!(request.body, "{}");
        (entry.response, entry.timings) = (None, None);
        assert!(!std::mem::take(&mut entry.trace_id).is_empty());
        assert_eq!(entry, *listed);
    }
    let failed_one = exported.iter().map(|exported| exported.entry.as_ref().unwrap()).find(|entry| entry.attempt == 2);
    assert_eq!(failed_one.unwrap().response.as_ref().unwrap().body, "sorry");

    // On from anywhere, and as a list.
    let rest = ExportEntriesRequest { cursor: exported[99].cursor.clone(), ..all() };
    let (total, rest) = read(history.export(ADMIN, rest).await.unwrap()).await;
    assert_eq!((total, rest.as_slice()), (31, &exported[100..]));
    assert_eq!(listed(exported[129].cursor.clone()).await.entries, expected[130..]);
    let only_failed = ExportEntriesRequest { status: DeliveryStatus::Failed.into(), ..all() };
    assert_eq!(read(history.export(ADMIN, only_failed).await.unwrap()).await.0, 1);
    let nothing = ExportEntriesRequest { is_test: Some(true), ..all() };
    assert_eq!(read(history.export(ADMIN, nothing).await.unwrap()).await, (0, Vec::new()));
}

#[tokio::test]
async fn an_export_is_a_system_administrators_and_of_its_instance() {
    let history = Started::new().await;
    history.record(vec![record(1, 1, delivered())]).await;
    for (token, expected) in [
        ("project_admin@acme:1", ErrorCode::Forbidden),
        ("member@acme", ErrorCode::Forbidden),
        ("publisher@acme", ErrorCode::Forbidden),
        ("nobody", ErrorCode::Unauthenticated),
    ] {
        assert_eq!(code(history.export(token, all())).await, expected, "{token}");
    }
    assert_eq!(read(history.export("system_admin@other", all()).await.unwrap()).await.0, 0);
    assert_eq!(code(history.export(ADMIN, ExportEntriesRequest { webhook_id: 9, ..all() })).await, ErrorCode::NotFound);
    assert_eq!(code(history.export(ADMIN, ExportEntriesRequest { status: 7, ..all() })).await, ErrorCode::Validation);
    let bad = ExportEntriesRequest { cursor: "x".into(), ..all() };
    assert_eq!(code(history.export(ADMIN, bad)).await, ErrorCode::Malformed);
}

#[tokio::test]
async fn there_are_few_exports_at_once_and_one_that_nobody_reads_ends() {
    let history = Started::new().await;
    for part in 0..40 {
        history.record((1..=100).map(|webhook| record(part * 100 + webhook, 1, delivered())).collect()).await;
    }
    let first = history.export(ADMIN, all()).await.unwrap();
    let second = history.export(ADMIN, all()).await.unwrap();
    assert_eq!(code(history.export(ADMIN, all())).await, ErrorCode::RateLimited);
    drop(first);
    eventually("its place is free", async || match history.export(ADMIN, all()).await {
        Ok(_) => true,
        Err(status) => {
            assert_eq!(ApiError::from(&status).code, ErrorCode::RateLimited);
            false
        }
    })
    .await;
    assert_eq!(read(second).await.0, 4000);
}

#[tokio::test]
async fn an_export_that_a_shutdown_cuts_short_does_not_look_whole() {
    let history = Started::new().await;
    for part in 0..40 {
        history.record((1..=100).map(|webhook| record(part * 100 + webhook, 1, delivered())).collect()).await;
    }
    let mut stream = history.export(ADMIN, all()).await.unwrap();
    assert_eq!(stream.message().await.unwrap().unwrap().total, 4000);
    history.tasks.shutdown_token().cancel();
    let mut complete = false;
    while let Ok(Some(part)) = stream.message().await {
        complete |= part.complete;
    }
    assert!(!complete);
}
