//! Statistics: what is asked of history, and what is made of its answer.

use serde_json::{Value, json};

use crate::support::Api;

const PATH: &str = "/webhooks/7/stats";

#[tokio::test]
async fn counts_are_shown_as_they_are() {
    let api = Api::new();
    let skipped = json!({"inactive": 3, "plan": 4, "project_deleted": 5, "failing": 6});
    let answer = api.get(PATH).await.ok(200);
    let expected = json!({"result": {
        "interval": "hour",
        "intervals": [{"start": "2027-01-15T08:00:00Z", "delivered": 1, "failed": 2, "skipped": skipped}],
        "totals": {
            "delivered": 1, "failed": 2, "not_attempted": 1, "success_rate": 0.25,
            "latency_ms": {"p50": 0.5, "p95": 23.714, "p99": 10000.0}, "skipped": skipped,
        },
        "pending": 7, "oldest_pending_since": "2027-01-15T08:01:00Z",
    }});
    assert_eq!(answer.json, expected);
    assert_eq!(api.fake.calls(), ["GetStatsRequest { webhook_id: 7, from: None, to: None, interval: Hour }"]);

    let nothing = api.get("/webhooks/8/stats?interval=day").await.ok(200).json["result"].clone();
    assert_eq!((&nothing["interval"], &nothing["intervals"]), (&json!("day"), &json!([])));
    let totals = &nothing["totals"];
    assert_eq!((&totals["success_rate"], &totals["latency_ms"]), (&Value::Null, &Value::Null));
    assert_eq!(totals["skipped"], json!({"inactive": 0, "plan": 0, "project_deleted": 0, "failing": 0}));
    assert_eq!((&nothing["pending"], &nothing["oldest_pending_since"]), (&json!(0), &Value::Null));

    let newer = api.get("/webhooks/13/stats").await.ok(200).json;
    assert_eq!(newer["result"]["interval"], "unknown");
}

#[tokio::test]
async fn time_and_interval_are_asked_for() {
    let api = Api::new();
    api.get(&format!("{PATH}?interval=day&from=2027-01-15T08:00:00.5%2B01:00&to=2027-01-15T08:00:00Z")).await.ok(200);
    let asked = "GetStatsRequest { webhook_id: 7, from: Some(Timestamp { seconds: 1799996400, nanos: 500000000 }), to: \
                 Some(Timestamp { seconds: 1800000000, nanos: 0 }), interval: Day }";
    assert_eq!(api.fake.calls(), [asked]);
    for (query, fields) in [
        ("from=yesterday", &["from"][..]),
        ("from=", &["from"]),
        ("from=2027-01-15", &["from"]),
        // A `+` that is not written `%2B` is a space.
        ("from=2027-01-15T08:00:00+01:00", &["from"]),
        ("to=1800000000", &["to"]),
        ("interval=minute", &["interval"]),
        ("interval=", &["interval"]),
        ("interval=Hour", &["interval"]),
        ("interval=hour&interval=day", &["interval"]),
        ("from=x&to=y&interval=z&page=1", &["from", "interval", "page", "to"]),
    ] {
        api.get(&format!("{PATH}?{query}")).await.refused(422, "validation_failed", fields);
    }
    assert!(api.fake.calls().is_empty());
}
