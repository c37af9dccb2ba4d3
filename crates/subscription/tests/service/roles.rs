//! Who may do what: every call for every role.

use proto::{
    error::ErrorCode::{self, Forbidden, NotFound, Unauthenticated},
    v1::{
        ActivateWebhookRequest, CreateTokenRequest, CreateWebhookRequest, DeactivateWebhookRequest,
        DeleteWebhookRequest, GetCallerRequest, GetWebhookRequest, ListTokensRequest, ListWebhookChangesRequest,
        ListWebhooksRequest, RegenerateSecretRequest, RevokeTokenRequest, UpdateWebhookRequest,
    },
};

use crate::fixture::{
    ADMIN, EVERYWHERE, Fixture, MEMBER, NOBODY, PROJECT_ADMIN, PUBLISHER, STRANGER, code, good, list, with,
};

const EVERYBODY: [&str; 7] = [ADMIN, PROJECT_ADMIN, MEMBER, PUBLISHER, EVERYWHERE, STRANGER, NOBODY];

const OK: Option<ErrorCode> = None;
/// What the last five of [`EVERYBODY`] get for a webhook of acme.
const OTHERS: [Option<ErrorCode>; 5] =
    [Some(Forbidden), Some(Forbidden), Some(Forbidden), Some(NotFound), Some(Unauthenticated)];

#[tokio::test]
async fn one_webhook_is_there_for_its_administrators_only() {
    let fixture = Fixture::start().await;
    let mut client = fixture.webhooks();
    let scopes: [(Option<&[i64]>, Option<ErrorCode>); 5] = [
        (None, Some(NotFound)),
        (Some(&[1]), OK),
        (Some(&[1, 2]), OK),
        (Some(&[2, 3]), Some(NotFound)),
        (Some(&[3]), Some(NotFound)),
    ];
    for (scope, for_project_admin) in scopes {
        let expected = [&[OK, for_project_admin], OTHERS.as_slice()].concat();
        for (token, expected) in EVERYBODY.into_iter().zip(expected) {
            let id = fixture.create(scope).await.id;
            let what = format!("{token}, {scope:?}");
            assert_eq!(code(&client.get_webhook(with(token, GetWebhookRequest { id })).await), expected, "{what}");
            let request = UpdateWebhookRequest { id, name: Some("New".into()), ..Default::default() };
            assert_eq!(code(&client.update_webhook(with(token, request)).await), expected, "{what}");
            let request = RegenerateSecretRequest { id, ..Default::default() };
            assert_eq!(code(&client.regenerate_secret(with(token, request)).await), expected, "{what}");
            let request = ListWebhookChangesRequest { id, ..Default::default() };
            assert_eq!(code(&client.list_webhook_changes(with(token, request)).await), expected, "{what}");
            let answer =
                client.deactivate_webhook(with(token, DeactivateWebhookRequest { id, if_version: None })).await;
            assert_eq!(code(&answer), expected, "{what}");
            assert_eq!(
                answer.ok().map(|answer| answer.into_inner().webhook.unwrap().active),
                expected.is_none().then_some(false)
            );
            let answer = client.activate_webhook(with(token, ActivateWebhookRequest { id, if_version: None })).await;
            assert_eq!(code(&answer), expected, "{what}");
            assert_eq!(
                answer.ok().map(|answer| answer.into_inner().webhook.unwrap().active),
                expected.is_none().then_some(true)
            );
            let answer = client.delete_webhook(with(token, DeleteWebhookRequest { id, if_version: None })).await;
            assert_eq!(code(&answer), expected, "{what}");
            let after = code(&client.get_webhook(with(ADMIN, GetWebhookRequest { id })).await);
            assert_eq!(after, if expected.is_none() { Some(NotFound) } else { OK }, "{what}");
        }
    }
}

#[tokio::test]
async fn everybody_learns_who_their_token_stands_for() {
    let fixture = Fixture::start().await;
    let mut client = fixture.webhooks();
    for (token, role, instance, projects) in [
        (ADMIN, "system_admin", "acme", [].as_slice()),
        (PROJECT_ADMIN, "project_admin", "acme", &[1, 2]),
        (MEMBER, "member", "acme", &[]),
        (PUBLISHER, "publisher", "acme", &[]),
        (EVERYWHERE, "publisher", "", &[]),
        (STRANGER, "system_admin", "other", &[]),
    ] {
        let caller = client.get_caller(with(token, GetCallerRequest {})).await.unwrap().into_inner();
        assert_eq!((caller.role.as_str(), caller.instance.as_str()), (role, instance));
        assert_eq!((caller.projects.as_slice(), caller.name.as_str()), (projects, token));
    }
    assert_eq!(code(&client.get_caller(with(NOBODY, GetCallerRequest {})).await), Some(Unauthenticated));
    assert_eq!(code(&client.get_caller(GetCallerRequest {}).await), Some(Unauthenticated));
}

#[tokio::test]
async fn creating_stays_within_the_projects() {
    let fixture = Fixture::start().await;
    let mut client = fixture.webhooks();
    let scopes: [(Option<&[i64]>, Option<ErrorCode>); 5] = [
        (None, Some(Forbidden)),
        (Some(&[1]), OK),
        (Some(&[2, 1, 2]), OK),
        (Some(&[1, 3]), Some(Forbidden)),
        (Some(&[3]), Some(Forbidden)),
    ];
    for (scope, for_project_admin) in scopes {
        let expected =
            [OK, for_project_admin, Some(Forbidden), Some(Forbidden), Some(Forbidden), OK, Some(Unauthenticated)];
        for (token, expected) in EVERYBODY.into_iter().zip(expected) {
            let request = CreateWebhookRequest { projects: list(scope), ..good() };
            assert_eq!(code(&client.create_webhook(with(token, request)).await), expected, "{token}, {scope:?}");
        }
    }
    assert_eq!(code(&client.create_webhook(good()).await), Some(Unauthenticated));
}

#[tokio::test]
async fn lists_hold_what_the_caller_may_see() {
    let fixture = Fixture::start().await;
    let mut client = fixture.webhooks();
    for scope in [None, Some([1].as_slice()), Some(&[2, 3]), Some(&[1, 2])] {
        fixture.create(scope).await;
    }
    let foreign = client.create_webhook(with(STRANGER, good())).await.unwrap().into_inner().webhook.unwrap();
    for (token, expected) in EVERYBODY.into_iter().zip([Ok(4), Ok(2), Err(()), Err(()), Err(()), Ok(1), Err(())]) {
        let answer = client.list_webhooks(with(token, ListWebhooksRequest::default())).await;
        let found = answer.map(|answer| (answer.get_ref().webhooks.len(), answer.get_ref().total));
        assert_eq!(found.map_err(|_| ()), expected.map(|length| (length, length as i64)), "{token}");
    }
    let answer = client.get_webhook(with(ADMIN, GetWebhookRequest { id: foreign.id })).await;
    assert_eq!(code(&answer), Some(NotFound));
}

#[tokio::test]
async fn tokens_are_for_system_administrators() {
    let fixture = Fixture::start().await;
    let mut client = fixture.webhooks();
    let forbidden = Some(Forbidden);
    let expected = [OK, forbidden, forbidden, forbidden, forbidden, OK, Some(Unauthenticated)];
    for (token, expected) in EVERYBODY.into_iter().zip(expected) {
        let request = CreateTokenRequest { name: "new".into(), role: "member".into(), ..CreateTokenRequest::default() };
        let made = client.create_token(with(token, request)).await;
        assert_eq!(code(&made), expected, "{token}");
        let answer = client.list_tokens(with(token, ListTokensRequest::default())).await;
        assert_eq!(code(&answer), expected, "{token}");
        let id = made.map_or(1, |made| made.into_inner().token.unwrap().id);
        let answer = client.revoke_token(with(token, RevokeTokenRequest { id })).await;
        assert_eq!(code(&answer), expected, "{token}");
    }
}
