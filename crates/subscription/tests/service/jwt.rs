//! JWTs of Testmo core beside tokens.

use std::{sync::Arc, time::Duration};

use domain::ManualClock;
use proto::{
    error::ErrorCode,
    internal::v1::AuthenticateRequest,
    v1::{CreateTokenRequest, GetCallerRequest, ListTokensRequest},
};
use ring::hmac;
use runtime::config::Auth;
use subscription::{JwtVerifier, store::open_sqlite};
use tempfile::TempDir;

use crate::{
    fixture::{ADMIN, NOON, error, with},
    process::Process,
};

const SECRET: &str = "a-secret-of-testmo-core-0123456789abcdef";

fn base64url(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

/// Of acme, for a minute.
fn jwt(secret: &str, role: &str) -> String {
    let exp = NOON.as_seconds() + 60;
    let claims = format!(r#"{{"instance":"acme","role":"{role}","exp":{exp},"name":"Ada"}}"#);
    let signed = format!("{}.{}", base64url(br#"{"alg":"HS256","typ":"JWT"}"#), base64url(claims.as_bytes()));
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), signed.as_bytes());
    format!("{signed}.{}", base64url(signature.as_ref()))
}

struct World {
    _folder: TempDir,
    clock: Arc<ManualClock>,
    process: Process,
}

async fn start(accepting: bool) -> World {
    let folder = tempfile::tempdir().unwrap();
    let (keys, jwt_key) = (folder.path().join("secrets.key"), folder.path().join("jwt.key"));
    std::fs::write(&keys, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n").unwrap();
    std::fs::write(&jwt_key, format!("{SECRET}\n")).unwrap();
    let auth = Auth { jwt_key_file: accepting.then_some(jwt_key), ..Auth::default() };
    let clock = Arc::new(ManualClock::new(NOON));
    let store = open_sqlite(&folder.path().join("subscription.db"), true).await.unwrap();
    let verifier = JwtVerifier::from_config(&auth).unwrap();
    let process = Process::start(&store, &keys, verifier, Arc::<ManualClock>::clone(&clock)).await.unwrap();
    World { _folder: folder, clock, process }
}

#[tokio::test]
async fn jwts_count_beside_tokens_until_they_expire() {
    let world = start(true).await;
    let mut client = world.process.webhooks();
    let token = jwt(SECRET, "system_admin");
    let caller = client.get_caller(with(&token, GetCallerRequest {})).await.unwrap().into_inner();
    assert_eq!((caller.role.as_str(), caller.instance.as_str(), caller.name.as_str()), ("system_admin", "acme", "Ada"));
    assert!(client.list_tokens(with(&token, ListTokensRequest::default())).await.is_ok());
    assert!(client.get_caller(with(ADMIN, GetCallerRequest {})).await.is_ok());
    let member = client.list_tokens(with(&jwt(SECRET, "member"), ListTokensRequest::default())).await;
    assert_eq!(error(member).code, ErrorCode::Forbidden);

    let forged = jwt("another-secret-of-whoever-0123456789abcdef", "system_admin");
    let refused = error(client.get_caller(with(&forged, GetCallerRequest {})).await);
    assert_eq!(refused.code, ErrorCode::Unauthenticated);
    assert!(refused.message.contains("its signature does not match"), "{}", refused.message);
    assert!(!refused.message.contains(&forged[..10]), "{}", refused.message);

    world.clock.advance(Duration::from_secs(60));
    let refused = error(client.get_caller(with(&token, GetCallerRequest {})).await);
    assert_eq!(
        (refused.code, refused.message.as_str()),
        (ErrorCode::Unauthenticated, "the JWT is not valid: it has expired")
    );
}

#[tokio::test]
async fn services_are_told_how_long_a_token_works() {
    let world = start(true).await;
    world.clock.advance(Duration::from_millis(10_250));
    let expires_at = proto::convert::timestamp(NOON.plus(Duration::from_secs(90)));
    let request = CreateTokenRequest {
        name: "CI".into(),
        role: "publisher".into(),
        expires_at: Some(expires_at),
        ..CreateTokenRequest::default()
    };
    let made = world.process.webhooks().create_token(with(ADMIN, request)).await.unwrap().into_inner();
    for (token, millis) in [(jwt(SECRET, "publisher"), Some(49_750)), (made.text, Some(79_750)), (ADMIN.into(), None)] {
        let answer = world.process.configuration().authenticate(AuthenticateRequest { token }).await.unwrap();
        let expires_in = answer.into_inner().expires_in.map(|time| Duration::try_from(time).unwrap());
        assert_eq!(expires_in, millis.map(Duration::from_millis));
    }
}

#[tokio::test]
async fn no_jwt_counts_without_a_key() {
    let world = start(false).await;
    let token = jwt(SECRET, "system_admin");
    let refused = error(world.process.webhooks().get_caller(with(&token, GetCallerRequest {})).await);
    assert_eq!(refused.code, ErrorCode::Unauthenticated);
    assert!(refused.message.contains("auth.jwt_key_file"), "{}", refused.message);
}
