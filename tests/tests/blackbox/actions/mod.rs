//! What operators do with webhooks and deliveries: sending a test payload, and trying again what has failed for good.

mod retrying;
mod testing;

use std::time::Duration;

use blackbox::{product::Product, rest::Answer, rest::Rest};
use proto::v1::SetPlanRequest;

const SOON: Duration = Duration::from_secs(30);
/// Longer than the first wait of the schedule, and than what is released at once takes.
const QUIET: Duration = Duration::from_secs(2);

async fn send_test(rest: &Rest, webhook: i64) -> Answer {
    rest.act(&format!("/api/v1/webhooks/{webhook}/test")).await
}

/// Sends a test payload; the id of its delivery.
async fn sent(rest: &Rest, webhook: i64) -> String {
    let result = send_test(rest, webhook).await.expect(202);
    result["delivery_id"].as_str().expect("the delivery's id").to_owned()
}

async fn press_retry(rest: &Rest, delivery: &str) -> Answer {
    rest.act(&format!("/api/v1/webhooks/deliveries/{delivery}/retry")).await
}

async fn set_plan(product: &Product, plan: &str, version: i64) {
    let request = SetPlanRequest { instance: "default".to_owned(), plan: plan.to_owned(), version };
    product.grpc(Some(product.publisher_token())).instances().set_plan(request).await.expect("an accepted plan");
}
