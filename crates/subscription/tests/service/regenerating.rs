//! New signing secrets, and how long the old ones go on.

use std::time::Duration;

use domain::{Secret, Timestamp};
use proto::{
    convert::{from_timestamp, timestamp},
    error::ErrorCode,
    internal::v1::{ChangesRequest, SigningSecret},
    v1::{RegenerateSecretRequest, Webhook},
};

use crate::fixture::{ADMIN, Fixture, NOON, error, fields, texts, with};

const HOUR: Duration = Duration::from_secs(3_600);

async fn regenerate(fixture: &Fixture, id: i64, overlap_hours: i32) -> Webhook {
    let request = RegenerateSecretRequest { id, overlap_hours, if_version: None };
    fixture.webhooks().regenerate_secret(with(ADMIN, request)).await.unwrap().into_inner().webhook.unwrap()
}

/// What the dispatcher signs with.
async fn signing(fixture: &Fixture) -> Vec<(String, Option<Timestamp>)> {
    let secrets = told(fixture).await;
    secrets.into_iter().map(|secret| (secret.text, secret.expires_at.as_ref().map(from_timestamp))).collect()
}

async fn told(fixture: &Fixture) -> Vec<SigningSecret> {
    let request = ChangesRequest { since: 0, with_secrets: true };
    let webhooks = fixture.configuration().changes(request).await.unwrap().into_inner().webhooks;
    webhooks.into_iter().next().unwrap().secrets
}

#[tokio::test]
async fn the_old_secret_stops_at_once_or_after_the_overlap() {
    let fixture = Fixture::start().await;
    let first = fixture.create(None).await;
    let id = first.id;
    let second = regenerate(&fixture, id, 0).await;
    assert!(second.secret != first.secret && second.secret.parse::<Secret>().is_ok());
    assert_eq!((second.version, second.previous_secret_expires_at), (first.version + 1, None));
    assert_eq!(signing(&fixture).await, [(second.secret.clone(), None)]);

    let third = regenerate(&fixture, id, 72).await;
    let end = NOON.plus(72 * HOUR);
    assert_eq!(third.previous_secret_expires_at, Some(timestamp(end)));
    assert_eq!(signing(&fixture).await, [(third.secret.clone(), None), (second.secret.clone(), Some(end))]);
    fixture.clock.advance(HOUR);
    let fourth = regenerate(&fixture, id, 24).await;
    let sooner = NOON.plus(25 * HOUR);
    let expected = [(fourth.secret.clone(), None), (third.secret, Some(sooner)), (second.secret, Some(sooner))];
    assert_eq!(signing(&fixture).await, expected);
    assert_eq!(fixture.get(id).await.previous_secret_expires_at, Some(timestamp(sooner)));

    fixture.clock.advance(24 * HOUR);
    assert_eq!(signing(&fixture).await, [(fourth.secret.clone(), None)], "what has expired is not told");
    let shown = fixture.get(id).await;
    assert_eq!(shown.previous_secret_expires_at, None);
    let secret: Secret = fourth.secret.parse().unwrap();
    assert_eq!(shown.secret, secret.masked());
}

#[tokio::test]
async fn secrets_are_numbered_in_the_order_they_were_made() {
    let fixture = Fixture::start().await;
    let first = fixture.create(None).await;
    assert_eq!((first.secret_id, fixture.get(first.id).await.secret_id), (1, 1));
    // Each step: the overlap, how much later, and the numbers of those that sign then, the current one first.
    for (current, overlap, later, ids) in
        [(2, 3, 0, &[2, 1][..]), (3, 1, 0, &[3, 2, 1]), (4, 5, 2, &[4, 3]), (5, 5, 0, &[5, 4, 3]), (6, 0, 0, &[6])]
    {
        let made = regenerate(&fixture, first.id, overlap).await;
        fixture.clock.advance(later * HOUR);
        assert_eq!((made.secret_id, fixture.get(first.id).await.secret_id), (current, current));
        let secrets = told(&fixture).await;
        assert_eq!(secrets.iter().map(|secret| secret.id).collect::<Vec<_>>(), ids, "{current}");
        assert_eq!(secrets[0].text, made.secret);
    }
}

#[tokio::test]
async fn the_overlap_and_the_number_are_bounded() {
    let fixture = Fixture::start().await;
    let id = fixture.create(None).await.id;
    for overlap_hours in [-1, 73, i32::MAX, i32::MIN] {
        let request = RegenerateSecretRequest { id, overlap_hours, if_version: None };
        let refused = error(fixture.webhooks().regenerate_secret(with(ADMIN, request)).await);
        assert_eq!((refused.code, fields(&refused)), (ErrorCode::Validation, vec!["overlap_hours"]));
    }
    for _ in 0..9 {
        regenerate(&fixture, id, 1).await;
    }
    let request = RegenerateSecretRequest { id, overlap_hours: 1, if_version: None };
    let refused = error(fixture.webhooks().regenerate_secret(with(ADMIN, request)).await);
    assert_eq!(refused.code, ErrorCode::Conflict);
    assert!(refused.message.contains("regenerate with overlap_hours 0, or wait"), "{}", refused.message);
    assert_eq!(signing(&fixture).await.len(), 10);
    regenerate(&fixture, id, 0).await;
    assert_eq!(signing(&fixture).await.len(), 1);
}

#[tokio::test]
async fn the_log_tells_of_secrets_by_their_masks() {
    let fixture = Fixture::start().await;
    let first = fixture.create(None).await;
    let second = regenerate(&fixture, first.id, 5).await;
    let log = fixture.log(first.id).await;
    let masked = |text: &str| text.parse::<Secret>().unwrap().masked();
    let expected = format!("secret: \"{}\" -> \"{}\"", masked(&first.secret), masked(&second.secret));
    assert_eq!((log[0].action.as_str(), texts(&log[0].fields)), ("secret_regenerated", vec![expected]));
    let all = format!("{log:?}");
    assert!([first.secret, second.secret].iter().all(|secret| !all.contains(&secret["whsec_".len()..])));
}

#[tokio::test]
async fn an_inactive_webhook_of_a_downgraded_instance_gets_a_new_secret() {
    let fixture = Fixture::start().await;
    let id = fixture.create(None).await.id;
    fixture.set_plan("starter", 1).await;
    let regenerated = regenerate(&fixture, id, 0).await;
    assert!(!regenerated.active && regenerated.inactive_reason == "plan_downgraded");
}
