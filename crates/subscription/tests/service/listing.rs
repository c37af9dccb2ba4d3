//! What lists hold: webhooks that pass a filter, and changes of a webhook.

use proto::{
    error::ErrorCode,
    v1::{
        CreateWebhookRequest, DeactivateWebhookRequest, DeleteWebhookRequest, ListWebhookChangesRequest,
        ListWebhooksRequest, UpdateWebhookRequest,
    },
};

use crate::fixture::{
    ADMIN, Fixture, MEMBER, PROJECT_ADMIN, PUBLISHER, STRANGER, code, error, fields, good, list, texts, with,
};

#[tokio::test]
async fn filters_narrow_what_is_within_reach() {
    let fixture = Fixture::start().await;
    let mut ids = Vec::new();
    for (name, url, projects) in [
        ("Alpha", "https://example.com/a", None),
        ("beta", "https://example.com/HOOK", Some([1].as_slice())),
        ("Gamma 100%", "https://other.example/c", Some(&[1, 2])),
        ("delta", "https://other.example/d", Some(&[3])),
    ] {
        let request = CreateWebhookRequest { name: name.into(), url: url.into(), projects: list(projects), ..good() };
        ids.push(fixture.create_from(request).await.id);
    }
    let mut client = fixture.webhooks();
    client.deactivate_webhook(with(ADMIN, DeactivateWebhookRequest { id: ids[1], if_version: None })).await.unwrap();
    let any = ListWebhooksRequest::default();
    let query = |query: &str| ListWebhooksRequest { query: query.into(), ..any.clone() };
    for (request, expected, own) in [
        (any.clone(), vec![0, 1, 2, 3], vec![1, 2]),
        (ListWebhooksRequest { active: Some(false), ..any.clone() }, vec![1], vec![1]),
        (ListWebhooksRequest { active: Some(true), ..any.clone() }, vec![0, 2, 3], vec![2]),
        (ListWebhooksRequest { r#type: "generic".into(), ..any.clone() }, vec![0, 1, 2, 3], vec![1, 2]),
        (ListWebhooksRequest { r#type: "slack".into(), ..any.clone() }, vec![], vec![]),
        (ListWebhooksRequest { project_id: 1, ..any.clone() }, vec![0, 1, 2], vec![1, 2]),
        (ListWebhooksRequest { project_id: 3, ..any.clone() }, vec![0, 3], vec![]),
        (query("A"), vec![0, 1, 2, 3], vec![1, 2]),
        (query("hook"), vec![1], vec![1]),
        (query("OTHER.example"), vec![2, 3], vec![2]),
        (query("%"), vec![2], vec![2]),
        (
            ListWebhooksRequest { project_id: 1, active: Some(true), query: "gamma".into(), ..any.clone() },
            vec![2],
            vec![2],
        ),
    ] {
        for (token, expected) in [(ADMIN, expected), (PROJECT_ADMIN, own), (STRANGER, vec![])] {
            let answer = client.list_webhooks(with(token, request.clone())).await.unwrap().into_inner();
            let found: Vec<_> = answer.webhooks.iter().map(|webhook| webhook.id).collect();
            let expected: Vec<_> = expected.into_iter().map(|index: usize| ids[index]).collect();
            assert_eq!((answer.total, found), (expected.len() as i64, expected), "{token} {request:?}");
        }
    }
    let wrong = ListWebhooksRequest { r#type: "pigeon".into(), project_id: -1, query: "a\0".into(), ..any };
    let refused = error(client.list_webhooks(with(ADMIN, wrong)).await);
    assert_eq!((refused.code, fields(&refused)), (ErrorCode::Validation, vec!["type", "project_id", "query"]));
}

#[tokio::test]
async fn the_change_log_tells_who_did_what() {
    let fixture = Fixture::start().await;
    let mut client = fixture.webhooks();
    let url = "https://example.com/hook?key=secret-4711".to_owned();
    let id = fixture.create_from(CreateWebhookRequest { url, projects: list(Some(&[1])), ..good() }).await.id;
    let patch = UpdateWebhookRequest { id, name: Some("New".into()), active: Some(false), ..Default::default() };
    client.update_webhook(with(PROJECT_ADMIN, patch)).await.unwrap();
    let log = fixture.log(id).await;
    let found: Vec<_> = log
        .iter()
        .map(|entry| (entry.action.as_str(), entry.actor.as_str(), entry.actor_role.as_str(), entry.version))
        .collect();
    assert_eq!(
        found,
        [
            ("deactivated", PROJECT_ADMIN, "project_admin", 3),
            ("updated", PROJECT_ADMIN, "project_admin", 2),
            ("created", ADMIN, "system_admin", 1),
        ]
    );
    assert!(log.iter().all(|entry| entry.at.is_some()));
    assert_eq!(texts(&log[0].fields), ["active: true -> false"]);
    assert_eq!(texts(&log[1].fields), [r#"name: "CI" -> "New""#]);
    assert_eq!(texts(&log[2].fields)[..2], [r#"name:  -> "CI""#, r#"url:  -> "https://example.com/hook?key=…""#]);
    assert!(!format!("{log:?}").contains("secret-4711"));

    let page = ListWebhookChangesRequest { id, page: 2, per_page: 15 };
    let answer = client.list_webhook_changes(with(ADMIN, page)).await.unwrap().into_inner();
    assert_eq!((answer.changes.len(), answer.total), (0, 3));
    let wrong = ListWebhookChangesRequest { id, page: -1, per_page: 7 };
    let refused = error(client.list_webhook_changes(with(ADMIN, wrong)).await);
    assert_eq!(fields(&refused), ["page", "per_page"]);
}

#[tokio::test]
async fn the_change_log_is_for_those_who_see_the_webhook() {
    let fixture = Fixture::start().await;
    let mut client = fixture.webhooks();
    let (own, all) = (fixture.create(Some(&[1])).await.id, fixture.create(None).await.id);
    let (not_found, forbidden) = (Some(ErrorCode::NotFound), Some(ErrorCode::Forbidden));
    for deleted in [false, true] {
        for (id, token, expected) in [
            (own, ADMIN, None),
            (all, ADMIN, None),
            (own, PROJECT_ADMIN, if deleted { not_found } else { None }),
            (all, PROJECT_ADMIN, not_found),
            (own, STRANGER, not_found),
            (own, MEMBER, forbidden),
            (own, PUBLISHER, forbidden),
            (all + 1, ADMIN, not_found),
        ] {
            let request = ListWebhookChangesRequest { id, ..Default::default() };
            assert_eq!(
                code(&client.list_webhook_changes(with(token, request)).await),
                expected,
                "{id} {token} {deleted}"
            );
        }
        if !deleted {
            for id in [own, all] {
                client.delete_webhook(with(ADMIN, DeleteWebhookRequest { id, if_version: None })).await.unwrap();
            }
        }
    }
    let entry = fixture.log(own).await.remove(0);
    assert_eq!((entry.action.as_str(), entry.actor.as_str(), entry.fields.len()), ("deleted", ADMIN, 0));
}
