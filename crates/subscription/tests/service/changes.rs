//! What the dispatcher is told.

use proto::{
    error::ErrorCode,
    internal::v1::{ChangesRequest, ChangesResponse},
    v1::{CreateWebhookRequest, DeactivateWebhookRequest, DeleteWebhookRequest},
};

use crate::fixture::{ADMIN, Fixture, code, good, list, with};

async fn changes(fixture: &Fixture, since: i64) -> ChangesResponse {
    let request = ChangesRequest { since, with_secrets: true };
    fixture.configuration().changes(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn a_save_is_told_from_then_on() {
    let fixture = Fixture::start().await;
    let mut client = fixture.webhooks();
    assert_eq!(changes(&fixture, 0).await, ChangesResponse::default());

    let (all, some) = (fixture.create(None).await, fixture.create(Some(&[2, 9])).await);
    let answer = changes(&fixture, 0).await;
    assert_eq!((answer.webhooks.len(), answer.more), (2, false));
    let [first, second] = answer.webhooks.as_slice() else { panic!("two webhooks") };
    assert_eq!((first.id, first.instance.as_str(), first.url.as_str()), (all.id, "acme", all.url.as_str()));
    assert!(first.active && first.all_projects && first.projects.is_empty() && !first.deleted);
    assert_eq!((first.r#type.as_str(), first.events.as_slice()), ("generic", all.events.as_slice()));
    assert_eq!((second.id, second.all_projects, second.projects.as_slice()), (some.id, false, [2, 9].as_slice()));
    assert_eq!(second.secrets.len(), 1);
    assert_eq!(answer.version, second.version);
    let nothing = changes(&fixture, answer.version).await;
    assert_eq!((nothing.version, nothing.webhooks.len(), nothing.more), (answer.version, 0, false));

    client.deactivate_webhook(with(ADMIN, DeactivateWebhookRequest { id: all.id, if_version: None })).await.unwrap();
    let paused = changes(&fixture, answer.version).await;
    assert_eq!(
        paused.webhooks.iter().map(|webhook| (webhook.id, webhook.active)).collect::<Vec<_>>(),
        [(all.id, false)]
    );
    client.deactivate_webhook(with(ADMIN, DeactivateWebhookRequest { id: all.id, if_version: None })).await.unwrap();
    assert_eq!(changes(&fixture, paused.version).await.version, paused.version);

    client.delete_webhook(with(ADMIN, DeleteWebhookRequest { id: some.id, if_version: None })).await.unwrap();
    let deleted = changes(&fixture, paused.version).await.webhooks;
    let [tombstone] = deleted.as_slice() else { panic!("one tombstone") };
    assert!(tombstone.deleted && !tombstone.active && tombstone.url.is_empty() && tombstone.secrets.is_empty());
    assert_eq!((tombstone.id, tombstone.instance.as_str()), (some.id, "acme"));
}

#[tokio::test]
async fn why_a_webhook_is_inactive_is_told() {
    let fixture = Fixture::start().await;
    let (all, some) = (fixture.create(None).await, fixture.create(Some(&[2])).await);
    let off = fixture.create_from(CreateWebhookRequest { inactive: true, ..good() }).await;
    fixture.delete_project(2, 1).await;
    fixture.set_plan("starter", 1).await;
    let told = changes(&fixture, 0).await.webhooks;
    let reason = |id: i64| {
        let found = told.iter().find(|webhook| webhook.id == id).unwrap();
        (found.active, found.inactive_reason.as_str())
    };
    assert_eq!(reason(all.id), (false, "plan_downgraded"));
    assert_eq!(reason(some.id), (false, "projects_deleted"));
    assert_eq!(reason(off.id), (false, ""));
}

#[tokio::test]
async fn selectors_and_filters_are_told_as_they_were_chosen() {
    let fixture = Fixture::start().await;
    let filter = vec!["data.result == failed".to_owned()];
    let request = CreateWebhookRequest { events: vec!["run.*".into(), "*".into()], filter: filter.clone(), ..good() };
    fixture.create_from(request).await;
    let told = changes(&fixture, 0).await.webhooks;
    assert_eq!(
        (told[0].events.as_slice(), &told[0].filter),
        (["*".to_owned(), "run.*".to_owned()].as_slice(), &filter)
    );
}

/// Whatever the size of a page, nothing is skipped between webhooks and projects.
#[tokio::test]
async fn webhooks_and_deletions_come_in_one_order() {
    let fixture = Fixture::start().await;
    let mut versions = Vec::new();
    for project in 1..=3 {
        versions.push(fixture.create(Some(&[project, 9])).await.version);
        fixture.delete_project(project, 1).await;
    }
    let whole = changes(&fixture, 0).await;
    assert_eq!((whole.webhooks.len(), whole.deleted_projects.len(), whole.more), (3, 3, false));
    // Each deletion takes a version, and so does the webhook that it changes.
    assert_eq!(whole.version, 9);
    for since in 0..whole.version {
        let rest = changes(&fixture, since).await;
        assert!(rest.webhooks.iter().all(|webhook| webhook.version > since && webhook.version <= rest.version));
        assert_eq!(
            rest.deleted_projects.len(),
            [2, 5, 8].iter().filter(|version| **version > since).count(),
            "{since}"
        );
    }
    assert_eq!(versions, [1, 4, 7]);
}

#[tokio::test]
async fn answers_stay_below_the_limit_of_a_message() {
    let fixture = Fixture::start().await;
    // Five bytes each in the message.
    let projects: Vec<i64> = (1 << 30..(1 << 30) + 5_000).collect();
    let mut ids = Vec::new();
    for _ in 0..100 {
        let request = CreateWebhookRequest { projects: list(Some(&projects)), ..good() };
        let answer = fixture.webhooks().create_webhook(with(ADMIN, request)).await.unwrap();
        ids.push(answer.into_inner().webhook.unwrap().id);
    }
    let mut seen = Vec::new();
    let mut since = 0;
    loop {
        let answer = changes(&fixture, since).await;
        assert!(prost::Message::encoded_len(&answer) < 2 * 1024 * 1024);
        seen.extend(answer.webhooks.iter().map(|webhook| webhook.id));
        since = answer.version;
        if !answer.more {
            break;
        }
    }
    assert_eq!(seen, ids);
}

#[tokio::test]
async fn changes_are_for_services_only() {
    let fixture = Fixture::start().await;
    for token in [ADMIN, "wrong"] {
        let answer = fixture.bare_configuration().changes(with(token, ChangesRequest::default())).await;
        assert_eq!(code(&answer), Some(ErrorCode::Forbidden));
    }
    let answer = fixture.bare_configuration().changes(ChangesRequest::default()).await;
    assert_eq!(code(&answer), Some(ErrorCode::Forbidden));
}
