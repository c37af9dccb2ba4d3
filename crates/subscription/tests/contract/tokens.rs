//! Tokens, and the key check.

use std::time::Duration;

use domain::{InstanceId, Role};
use subscription::store::{NewToken, Page, TokenReach};

use crate::backend::{Backend, NOON};

const ALL: Page = Page { offset: 0, limit: 100 };

fn of(instance: &str) -> TokenReach {
    TokenReach { instance: instance.parse().unwrap(), for_all: false }
}

fn token(instance: Option<&str>, role: Role, hash: u8) -> NewToken {
    NewToken {
        instance: instance.map(|name| name.parse().unwrap()),
        name: format!("token {hash}"),
        role,
        hash: [hash; 32],
        prefix: "tmwh_01234".into(),
        at: NOON,
        expires_at: Some(NOON.plus(Duration::from_secs(60))),
    }
}

pub(crate) async fn tokens_are_found_until_they_are_revoked(backend: &impl Backend) {
    let store = backend.store().await;
    let acme: InstanceId = "acme".parse().unwrap();
    let new = token(Some("acme"), Role::ProjectAdmin(vec![2, 5]), 1);
    let added = store.add_token(&new).await.unwrap().unwrap();
    assert_eq!((added.name.as_str(), added.prefix.as_str()), ("token 1", "tmwh_01234"));
    assert_eq!((added.instance.as_ref(), &added.role), (Some(&acme), &Role::ProjectAdmin(vec![2, 5])));
    assert_eq!((added.created_at, added.expires_at, added.revoked), (NOON, new.expires_at, false));
    assert!(added.is_valid(NOON) && !added.is_valid(NOON.plus(Duration::from_secs(60))));
    assert_eq!(store.token_by_hash(&[1; 32]).await.unwrap().as_ref(), Some(&added));
    assert_eq!(store.token_by_hash(&[2; 32]).await.unwrap(), None);

    assert!(store.revoke_token(&of("acme"), added.id, NOON).await.unwrap());
    assert!(!store.revoke_token(&of("acme"), added.id, NOON).await.unwrap());
    assert_eq!(store.tokens(&of("acme"), ALL).await.unwrap().total, 0);
    let revoked = store.token_by_hash(&[1; 32]).await.unwrap().unwrap();
    assert!(revoked.revoked && !revoked.is_valid(NOON));
}

pub(crate) async fn tokens_are_of_their_instance(backend: &impl Backend) {
    let store = backend.store().await;
    let (acme, other) = (of("acme"), of("other"));
    let mut ids = Vec::new();
    for hash in 1..=5 {
        ids.push(store.add_token(&token(Some("acme"), Role::Member, hash)).await.unwrap().unwrap().id);
    }
    let foreign = store.add_token(&token(Some("other"), Role::SystemAdmin, 6)).await.unwrap().unwrap();
    let everywhere = store.add_token(&token(None, Role::Publisher, 7)).await.unwrap().unwrap();
    assert_eq!(everywhere.instance, None);

    let page = store.tokens(&acme, Page { offset: 3, limit: 3 }).await.unwrap();
    assert_eq!((page.items.iter().map(|token| token.id).collect::<Vec<_>>(), page.total), (ids[3..].to_vec(), 5));
    assert_eq!(store.tokens(&other, ALL).await.unwrap().items, std::slice::from_ref(&foreign));
    for id in [foreign.id, everywhere.id] {
        assert!(!store.revoke_token(&acme, id, NOON).await.unwrap());
    }

    let with_all = TokenReach { for_all: true, ..other };
    let listed = store.tokens(&with_all, ALL).await.unwrap();
    assert_eq!((listed.items.as_slice(), listed.total), ([foreign, everywhere.clone()].as_slice(), 2));
    let second = store.tokens(&with_all, Page { offset: 1, limit: 1 }).await.unwrap();
    assert_eq!(second.items, std::slice::from_ref(&everywhere));
    assert!(!store.revoke_token(&with_all, ids[0], NOON).await.unwrap());
    assert!(store.revoke_token(&with_all, everywhere.id, NOON).await.unwrap());
    assert_eq!(store.tokens(&with_all, ALL).await.unwrap().total, 1);
}

pub(crate) async fn a_text_is_one_token(backend: &impl Backend) {
    let store = backend.store().await;
    let acme = of("acme");
    let first = store.add_token(&token(Some("acme"), Role::SystemAdmin, 1)).await.unwrap().unwrap();
    assert_eq!(store.add_token(&token(Some("other"), Role::Member, 1)).await.unwrap(), None);
    assert_eq!(store.token_by_hash(&[1; 32]).await.unwrap().as_ref(), Some(&first));
    assert!(store.revoke_token(&acme, first.id, NOON).await.unwrap());
    assert_eq!(store.add_token(&token(Some("acme"), Role::SystemAdmin, 1)).await.unwrap(), None);
}

pub(crate) async fn the_first_key_check_stays(backend: &impl Backend) {
    let store = backend.store().await;
    assert_eq!(store.key_check(&[0, 1, 255]).await.unwrap(), [0, 1, 255]);
    assert_eq!(store.key_check(&[9]).await.unwrap(), [0, 1, 255]);
}
