//! The life of a token.

use std::time::Duration;

use domain::Role;
use proto::{
    convert::timestamp,
    error::ErrorCode,
    internal::v1::AuthenticateRequest,
    v1::{CreateTokenRequest, ListTokensRequest, ListWebhooksRequest, RevokeTokenRequest},
};
use subscription::EnsuredToken;

use crate::fixture::{ADMIN, EVERYWHERE, Fixture, MEMBER, NOBODY, NOON, OPERATOR, STRANGER, code, error, with};

#[tokio::test]
async fn a_token_works_until_it_expires_or_is_revoked() {
    let fixture = Fixture::start().await;
    let mut client = fixture.webhooks();
    let end = NOON.plus(Duration::from_secs(60));
    let request = CreateTokenRequest {
        name: " CI ".into(),
        role: "project_admin".into(),
        projects: vec![5, 2, 5],
        expires_at: Some(timestamp(end)),
        all_instances: false,
    };
    let mut made = Vec::new();
    for _ in 0..2 {
        made.push(client.create_token(with(ADMIN, request.clone())).await.unwrap().into_inner());
    }
    let token = made[0].token.clone().unwrap();
    assert_eq!((token.name.as_str(), token.role.as_str(), token.instance.as_str()), ("CI", "project_admin", "acme"));
    assert_eq!((token.projects, token.expires_at), (vec![2, 5], Some(timestamp(end))));
    assert!(made[0].text.starts_with("tmwh_") && made[0].text.starts_with(&token.prefix) && token.prefix.len() == 10);

    let listing = ListWebhooksRequest::default();
    for made in &made {
        assert!(client.list_webhooks(with(&made.text, listing.clone())).await.is_ok());
    }
    client.revoke_token(with(ADMIN, RevokeTokenRequest { id: token.id })).await.unwrap();
    let refused = error(client.list_webhooks(with(&made[0].text, listing.clone())).await);
    assert_eq!(refused.code, ErrorCode::Unauthenticated);
    assert!(refused.message.starts_with("token is not valid; "), "{}", refused.message);
    let again = client.revoke_token(with(ADMIN, RevokeTokenRequest { id: token.id })).await;
    assert_eq!(code(&again), Some(ErrorCode::NotFound));

    fixture.clock.advance(Duration::from_secs(59));
    assert!(client.list_webhooks(with(&made[1].text, listing.clone())).await.is_ok());
    fixture.clock.advance(Duration::from_secs(1));
    let expired = client.list_webhooks(with(&made[1].text, listing.clone())).await;
    assert_eq!(code(&expired), Some(ErrorCode::Unauthenticated));
}

#[tokio::test]
async fn mistakes_name_their_field() {
    let fixture = Fixture::start().await;
    let good = CreateTokenRequest { name: "CI".into(), role: "member".into(), ..CreateTokenRequest::default() };
    let far = domain::Timestamp::from_micros(253_402_300_800_000_000);
    for (request, expected) in [
        (CreateTokenRequest::default(), vec!["name", "role"]),
        (CreateTokenRequest { name: "a\nb".into(), ..good.clone() }, vec!["name"]),
        (CreateTokenRequest { role: "project_admin".into(), ..good.clone() }, vec!["projects"]),
        (CreateTokenRequest { role: "project_admin".into(), projects: vec![0], ..good.clone() }, vec!["projects"]),
        (CreateTokenRequest { projects: vec![1], ..good.clone() }, vec!["projects"]),
        (CreateTokenRequest { expires_at: Some(timestamp(NOON)), ..good.clone() }, vec!["expires_at"]),
        (CreateTokenRequest { expires_at: Some(timestamp(far)), ..good.clone() }, vec!["expires_at"]),
    ] {
        let found = error(fixture.webhooks().create_token(with(ADMIN, request)).await);
        assert_eq!(found.code, ErrorCode::Validation);
        assert_eq!(found.fields.iter().map(|(field, _)| field.as_str()).collect::<Vec<_>>(), expected);
    }
}

#[tokio::test]
async fn administrators_see_and_revoke_only_their_instances() {
    let fixture = Fixture::start().await;
    let mut client = fixture.webhooks();
    let listed = |answer: tonic::Response<proto::v1::ListTokensResponse>| {
        answer.into_inner().tokens.into_iter().map(|token| (token.id, token.name)).collect::<Vec<_>>()
    };
    let own = listed(client.list_tokens(with(ADMIN, ListTokensRequest::default())).await.unwrap());
    let foreign = listed(client.list_tokens(with(STRANGER, ListTokensRequest::default())).await.unwrap());
    assert_eq!((own.len(), foreign.len()), (4, 1));
    assert!(own.iter().chain(&foreign).all(|(_, name)| name != EVERYWHERE));
    let answer = client.revoke_token(with(ADMIN, RevokeTokenRequest { id: foreign[0].0 })).await;
    assert_eq!(code(&answer), Some(ErrorCode::NotFound));
}

#[tokio::test]
async fn tokens_for_all_instances_are_made_seen_and_revoked_by_the_operator() {
    let fixture = Fixture::start().await;
    let mut client = fixture.webhooks();
    let request = |role: &str| CreateTokenRequest {
        name: "core".into(),
        role: role.into(),
        all_instances: true,
        ..CreateTokenRequest::default()
    };
    for role in ["system_admin", "project_admin", "member"] {
        let projects = if role == "project_admin" { vec![1] } else { Vec::new() };
        let wrong = CreateTokenRequest { projects, ..request(role) };
        let found = error(client.create_token(with(OPERATOR, wrong)).await);
        assert_eq!(found.code, ErrorCode::Validation, "{role}");
        assert_eq!(found.fields[0], ("all_instances".into(), "must be false for roles other than publisher".into()));
    }
    let found = error(client.create_token(with(OPERATOR, request("king"))).await);
    assert_eq!(found.fields.iter().map(|(field, _)| field.as_str()).collect::<Vec<_>>(), ["role"]);
    for token in [ADMIN, STRANGER, EVERYWHERE] {
        let found = client.create_token(with(token, request("publisher"))).await;
        assert_eq!(code(&found), Some(ErrorCode::Forbidden), "{token}");
    }

    let made = client.create_token(with(OPERATOR, request("publisher"))).await.unwrap().into_inner();
    let token = made.token.unwrap();
    assert_eq!((token.role.as_str(), token.instance.as_str()), ("publisher", ""));
    let identity = fixture.subscription.authenticator.authenticate(&made.text).await.unwrap();
    assert_eq!((identity.role, identity.instance), (Role::Publisher, None));
    let seen = client.list_tokens(with(OPERATOR, ListTokensRequest::default())).await.unwrap().into_inner();
    let names: Vec<_> = seen.tokens.iter().map(|token| token.name.as_str()).collect();
    assert_eq!((names, seen.total), (vec![EVERYWHERE, OPERATOR, "core"], 3));
    for stranger in [ADMIN, STRANGER] {
        let seen = client.list_tokens(with(stranger, ListTokensRequest::default())).await.unwrap().into_inner();
        assert!(seen.tokens.iter().all(|seen| seen.id != token.id));
        let answer = client.revoke_token(with(stranger, RevokeTokenRequest { id: token.id })).await;
        assert_eq!(code(&answer), Some(ErrorCode::NotFound));
    }
    client.revoke_token(with(OPERATOR, RevokeTokenRequest { id: token.id })).await.unwrap();
    assert!(fixture.subscription.authenticator.authenticate(&made.text).await.is_err());
}

#[tokio::test]
async fn ensured_tokens_are_made_once() {
    const FIRST: &str = "first-0123456789abcdef0123456789";
    const THIRD: &str = "third-0123456789abcdef0123456789";
    let fixture = Fixture::start().await;
    let service = &fixture.subscription;
    let acme = || Some("acme".parse().unwrap());
    let ensure = |text: &'static str, role, instance| service.ensure_token(text, "bootstrap", role, instance);
    assert_eq!(ensure(FIRST, Role::SystemAdmin, acme()).await.unwrap(), EnsuredToken::Made);
    assert_eq!(ensure(FIRST, Role::SystemAdmin, acme()).await.unwrap(), EnsuredToken::Present);
    // Neither role nor instance of a text change.
    assert_eq!(ensure(FIRST, Role::Publisher, None).await.unwrap(), EnsuredToken::Present);
    assert_eq!(service.authenticator.authenticate(FIRST).await.unwrap().role, Role::SystemAdmin);

    let mut client = fixture.webhooks();
    let tokens = client.list_tokens(with(FIRST, ListTokensRequest::default())).await.unwrap().into_inner().tokens;
    let own = tokens.iter().find(|token| token.name == "bootstrap").unwrap();
    assert_eq!(own.prefix, "first-01");
    client.revoke_token(with(FIRST, RevokeTokenRequest { id: own.id })).await.unwrap();
    assert_eq!(ensure(FIRST, Role::SystemAdmin, acme()).await.unwrap(), EnsuredToken::Ended);
    assert!(service.authenticator.authenticate(FIRST).await.is_err());

    let rule = "the text of token `bootstrap` must be one word of at least 32 printable ASCII characters";
    let broken =
        ["", "x", &THIRD[1..], "two words, together of well over 32 characters", "umläut-0123456789abcdef0123456789"];
    for text in broken {
        assert_eq!(ensure(text, Role::SystemAdmin, acme()).await.unwrap_err().to_string(), rule, "{text}");
    }
    assert!(ensure(THIRD, Role::SystemAdmin, None).await.is_err());
}

#[tokio::test]
async fn services_ask_who_a_token_stands_for() {
    let fixture = Fixture::start().await;
    let ask = |token: &str| AuthenticateRequest { token: token.to_owned() };
    let answer = fixture.configuration().authenticate(ask(MEMBER)).await.unwrap().into_inner();
    assert_eq!((answer.role.as_str(), answer.instance.as_str(), answer.name.as_str()), ("member", "acme", MEMBER));
    let answer = fixture.configuration().authenticate(ask(EVERYWHERE)).await.unwrap().into_inner();
    assert_eq!((answer.role.as_str(), answer.instance.as_str()), ("publisher", ""));
    for token in [NOBODY, ""] {
        let refused = error(fixture.configuration().authenticate(ask(token)).await);
        assert_eq!(refused.code, ErrorCode::Unauthenticated);
    }
    let refused = error(fixture.bare_configuration().authenticate(ask(MEMBER)).await);
    assert!(refused.message.contains("services.token_file"), "{}", refused.message);
}
