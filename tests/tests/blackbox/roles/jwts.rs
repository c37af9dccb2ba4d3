//! Which JWTs count: those of the configured key and algorithm, whole, and about something there is.

use blackbox::{
    jwt,
    product::{Mode, Product},
    random,
};
use proto::v1::GetCallerRequest;
use serde_json::{Value, json};
use tonic::Code;

use super::{callers::claims, world::WEBHOOKS};

/// Who a token stands for; `None`: nobody.
async fn caller(product: &Product, token: &str) -> Option<(String, String, Vec<i64>)> {
    let answer = product.grpc(Some(token)).webhooks().get_caller(GetCallerRequest {}).await;
    let rest = product.rest(Some(token)).get(WEBHOOKS).await;
    match answer {
        Ok(answer) => {
            assert_ne!(rest.status, 401, "gRPC takes {token}, and REST does not");
            let answer = answer.into_inner();
            Some((answer.role, answer.instance, answer.projects))
        }
        Err(status) => {
            assert_eq!(status.code(), Code::Unauthenticated, "{token}: {status}");
            rest.expect_error(401, Some("unauthenticated"), &[]);
            let parts: Vec<_> = token.split('.').filter(|part| part.len() > 8).collect();
            let told = format!("{status:?} {}", rest.json);
            assert!(!parts.iter().any(|part| told.contains(part)), "the refusal shows the token: {told}");
            None
        }
    }
}

fn good() -> Value {
    claims("system_admin", "acme", &[], 600)
}

fn with(claim: &str, value: Value) -> Value {
    let mut claims = good();
    claims[claim] = value;
    claims
}

fn without(claim: &str) -> Value {
    let mut claims = good();
    claims.as_object_mut().expect("an object").remove(claim);
    claims
}

pub(super) async fn jwts_of_the_secret_count(mode: Mode) {
    let secret = random::hex40();
    let product = Product::prepare(mode).set("auth.jwt_key_file", &jwt::key_file(&secret)).start().await;
    let acme = |role: &str, projects: &[i64]| Some((role.to_owned(), "acme".to_owned(), projects.to_vec()));
    for (role, projects) in [("system_admin", &[][..]), ("project_admin", &[1, 2]), ("member", &[]), ("publisher", &[])]
    {
        let token = jwt::hs256(&secret, &claims(role, "acme", projects, 600));
        assert_eq!(caller(&product, &token).await, acme(role, projects));
    }
    for mistaken in [
        without("exp"),
        without("role"),
        with("exp", json!(jwt::in_seconds(-120))),
        with("exp", json!("tomorrow")),
        with("role", json!("king")),
        with("role", json!(["system_admin"])),
        with("instance", json!("Not An Instance!")),
        with("instance", json!(7)),
        with("role", json!("project_admin")),
        claims("project_admin", "acme", &[0], 600),
        // For somebody else: no `aud` is configured.
        with("aud", json!("billing")),
        json!([]),
        json!("nothing"),
    ] {
        assert_eq!(caller(&product, &jwt::hs256(&secret, &mistaken)).await, None, "{mistaken}");
    }

    let header = |algorithm: &str| json!({"alg": algorithm, "typ": "JWT"});
    let right = jwt::hs256(&secret, &good());
    let cut = right.rsplit_once('.').expect("three parts").0;
    let signed = |algorithm: &str| jwt::compact(&header(algorithm), &good(), |text| jwt::hmac(&secret, text));
    let mut critical = header("HS256");
    critical["crit"] = json!(["exp"]);
    for forged in [
        jwt::compact(&header("none"), &good(), |_| Vec::new()),
        signed("none"),
        signed("HS512"),
        signed("EdDSA"),
        signed("hs256"),
        jwt::compact(&header("HS256"), &good(), |_| Vec::new()),
        jwt::compact(&header("HS256"), &good(), |text| jwt::hmac(&secret, text)[..16].to_vec()),
        jwt::compact(&critical, &good(), |text| jwt::hmac(&secret, text)),
        jwt::hs256(&random::hex40(), &good()),
        jwt::hs256("", &good()),
        cut.to_owned(),
        format!("{cut}."),
        format!("{right}."),
        format!("{right}.{right}"),
        format!("{right}="),
    ] {
        assert_eq!(caller(&product, &forged).await, None, "{forged}");
    }
    assert_eq!(caller(&product, &right).await, acme("system_admin", &[]), "the right one counts still");
}

pub(super) async fn jwts_of_the_public_key_count(mode: Mode) {
    let (key, other) = (jwt::EdKey::random(), jwt::EdKey::random());
    let pem = key.public_pem();
    let product = Product::prepare(mode)
        .set("auth.jwt_key_file", &jwt::key_file(&pem))
        .set("auth.jwt_issuer", "testmo-core")
        .set("auth.jwt_audience", "webhooks")
        .start()
        .await;
    let mut claims = good();
    claims["iss"] = json!("testmo-core");
    claims["aud"] = json!("webhooks");
    let changed = |claim: &str, value: Value| {
        let mut claims = claims.clone();
        claims[claim] = value;
        claims
    };
    let acme = Some(("system_admin".to_owned(), "acme".to_owned(), Vec::new()));
    for right in [claims.clone(), changed("aud", json!(["billing", "webhooks"]))] {
        assert_eq!(caller(&product, &key.sign(&right)).await, acme, "{right}");
    }
    for mistaken in [
        good(),
        changed("iss", json!("somebody")),
        changed("aud", json!("billing")),
        changed("aud", json!([])),
        changed("exp", json!(jwt::in_seconds(-120))),
    ] {
        assert_eq!(caller(&product, &key.sign(&mistaken)).await, None, "{mistaken}");
    }
    // A public key is no secret: it must not serve as one.
    for forged in [other.sign(&claims), jwt::hs256(&pem, &claims), jwt::hs256(pem.trim(), &claims)] {
        assert_eq!(caller(&product, &forged).await, None, "{forged}");
    }
}

pub(super) async fn without_a_key_no_jwt_counts(mode: Mode) {
    let product = Product::start(mode).await;
    let none = json!({"alg": "none"});
    for token in
        [jwt::hs256("", &good()), jwt::EdKey::random().sign(&good()), jwt::compact(&none, &good(), |_| Vec::new())]
    {
        assert_eq!(caller(&product, &token).await, None, "{token}");
    }
}
