//! Since when and until when a token counts: from the answer that made it, until the answer that revoked it or the end
//! that it was given. What it may do is settled when it is made.

use std::time::Duration;

use blackbox::{
    events,
    grpc::Grpc,
    jwt,
    product::{Mode, Product},
    random,
    wait::eventually,
};
use hyper::Method;
use proto::v1::{GetCallerRequest, ListEntriesRequest, PublishRequest, PutProjectRequest};
use serde_json::json;
use tonic::Code;

use super::{
    callers::{claims, make},
    other_calls::TOKENS,
    world::WEBHOOKS,
};

/// How long a service other than `subscription` may take a revoked token for valid.
const WITHIN: Duration = Duration::from_secs(1);
/// What a call takes on a machine that is busy with other tests.
const CALL: Duration = Duration::from_secs(1);

/// What `History` answers a token.
async fn history(grpc: &Grpc) -> Code {
    let answer = grpc.history().list_entries(ListEntriesRequest::default()).await;
    answer.err().map_or(Code::Ok, |status| status.code())
}

/// What `Webhooks` answers a token.
async fn webhooks(grpc: &Grpc) -> Code {
    let answer = grpc.webhooks().get_caller(GetCallerRequest {}).await;
    answer.err().map_or(Code::Ok, |status| status.code())
}

/// What `Events` answers a token.
async fn events(grpc: &Grpc) -> Code {
    let request = PublishRequest { event: Some(events::run_completed(1, 1)) };
    grpc.events().publish(request).await.err().map_or(Code::Ok, |status| status.code())
}

/// What `Instances` answers a token.
async fn instances(grpc: &Grpc) -> Code {
    let request = PutProjectRequest { project_id: 1, name: "P".into(), version: 1, ..PutProjectRequest::default() };
    grpc.instances().put_project(request).await.err().map_or(Code::Ok, |status| status.code())
}

/// Each is asked once: the first answer counts.
pub(super) async fn a_new_token_works_at_once(mode: Mode) {
    let product = Product::start(mode).await;
    for role in ["system_admin", "project_admin", "member", "publisher"] {
        let projects = if role == "project_admin" { json!([1]) } else { json!([]) };
        let body = json!({"name": role, "role": role, "projects": projects});
        let (_, text) = make(&product.admin(), body).await;
        let grpc = product.grpc(Some(&text));
        let (reads, all, publishes) = match role {
            "system_admin" => (200, Code::Ok, Code::PermissionDenied),
            "project_admin" => (200, Code::PermissionDenied, Code::PermissionDenied),
            "publisher" => (403, Code::PermissionDenied, Code::Ok),
            _ => (403, Code::PermissionDenied, Code::PermissionDenied),
        };
        let answers = (history(&grpc).await, events(&grpc).await, instances(&grpc).await, webhooks(&grpc).await);
        assert_eq!(answers, (all, publishes, publishes, Code::Ok), "{role}");
        assert_eq!(product.rest(Some(&text)).get(WEBHOOKS).await.status, reads, "{role}");
    }
}

pub(super) async fn a_revoked_token_is_refused(mode: Mode) {
    let product = Product::start(mode).await;
    let admin = product.admin();
    let (admin_id, text) = make(&admin, json!({"name": "second", "role": "system_admin"})).await;
    let (rest, grpc) = (product.rest(Some(&text)), product.grpc(Some(&text)));
    let (publisher_id, text) = make(&admin, json!({"name": "core", "role": "publisher"})).await;
    let publisher = product.grpc(Some(&text));
    // So that every service knows them.
    assert_eq!((webhooks(&grpc).await, history(&grpc).await), (Code::Ok, Code::Ok));
    assert_eq!((events(&publisher).await, instances(&publisher).await), (Code::Ok, Code::Ok));

    for id in [admin_id, publisher_id] {
        assert_eq!(admin.delete(&format!("{TOKENS}/{id}")).await.status, 204);
    }
    assert_eq!(webhooks(&grpc).await, Code::Unauthenticated, "`Webhooks` refuses it at once");
    assert_eq!(instances(&publisher).await, Code::Unauthenticated, "`Instances` refuses it at once");
    for path in [WEBHOOKS.to_owned(), format!("{WEBHOOKS}/deliveries"), format!("{WEBHOOKS}/events"), TOKENS.to_owned()]
    {
        assert_eq!(rest.get(&path).await.status, 401, "REST refuses it at once on {path}");
    }
    eventually(WITHIN + CALL, "`History` and `Events` refuse it", async || {
        let both = (history(&grpc).await, events(&publisher).await);
        (both == (Code::Unauthenticated, Code::Unauthenticated)).then_some(())
    })
    .await;
    assert_eq!(webhooks(&product.grpc(Some(product.admin_token()))).await, Code::Ok, "others go on");
}

pub(super) async fn a_token_cannot_be_changed(mode: Mode) {
    let product = Product::start(mode).await;
    let admin = product.admin();
    let (id, text) = make(&admin, json!({"name": "member", "role": "member"})).await;
    for method in [Method::PATCH, Method::PUT, Method::POST] {
        let body = json!({"role": "system_admin"}).to_string();
        let answer =
            admin.send(method.clone(), &format!("{TOKENS}/{id}"), Some(("application/json", body.into()))).await;
        answer.expect_error(405, Some("method_not_allowed"), &[]);
    }
    let own = product.rest(Some(&text));
    own.post(TOKENS, json!({"name": "more", "role": "system_admin"})).await.expect_error(403, Some("forbidden"), &[]);
    let caller = product.grpc(Some(&text)).webhooks().get_caller(GetCallerRequest {}).await.expect("it works still");
    assert_eq!(caller.into_inner().role, "member");
}

/// Services that remember a token forget it when it ends.
pub(super) async fn a_jwt_ends_when_it_says(mode: Mode) {
    const LIFETIME: i64 = 4;
    let secret = random::hex40();
    let product = Product::prepare(mode).set("auth.jwt_key_file", &jwt::key_file(&secret)).start().await;
    let admin = product.grpc(Some(&jwt::hs256(&secret, &claims("system_admin", "default", &[], LIFETIME))));
    let publisher = product.grpc(Some(&jwt::hs256(&secret, &claims("publisher", "default", &[], LIFETIME))));
    let each =
        async || [webhooks(&admin).await, history(&admin).await, events(&publisher).await, instances(&publisher).await];
    assert_eq!(each().await, [Code::Ok; 4]);
    let end = Duration::from_secs(LIFETIME.unsigned_abs());
    eventually(end + WITHIN + CALL, "the JWT has ended everywhere", async || {
        (each().await == [Code::Unauthenticated; 4]).then_some(())
    })
    .await;
}
