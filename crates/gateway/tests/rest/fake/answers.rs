//! What the services in memory answer about deliveries and events.

use proto::v1;
use tonic::Status;

use super::{DELIVERY, EVENT, REPLAY, at};

/// What comes of rules. The one of webhook 8 is about an event without an id, the one of webhook 13 breaks its schema.
pub(crate) fn explanation(id: i64) -> v1::ExplainWebhookResponse {
    let condition = |condition: &str, found_json: Option<&str>, reason: &str| v1::ConditionOutcome {
        condition: condition.into(),
        passed: false,
        found_json: found_json.map(Into::into),
        missing: reason == "nothing stands there",
        reason: reason.into(),
    };
    let rule = |rule: &str, passed, conditions| v1::RuleOutcome {
        rule: rule.into(),
        passed,
        reason: format!("why {rule}"),
        conditions,
    };
    let conditions = vec![
        condition("a == 1", Some(r#"{"b":1.10,"a":null}"#), ""),
        condition("b == 1", Some("null"), ""),
        condition("c == 1", None, "nothing stands there"),
        // An answer that breaks its schema.
        condition("d == 1", Some(if id == 13 { "{" } else { "1" }), ""),
    ];
    v1::ExplainWebhookResponse {
        event_id: if id == 8 { String::new() } else { EVENT.into() },
        event_type: "run.completed".into(),
        project_id: 3,
        delivers: false,
        rules: vec![rule("instance", true, Vec::new()), rule("filter", false, conditions)],
    }
}

pub(crate) fn failed(id: &str) -> v1::Entry {
    v1::Entry {
        id: id.into(),
        delivery_id: DELIVERY.into(),
        event_id: "e".into(),
        event_type: "run.completed".into(),
        webhook_id: 1,
        project_id: 3,
        attempt: 1,
        status: v1::DeliveryStatus::Failed.into(),
        time: at(1_800_000_000, 0),
        duration_us: 12_345,
        response_code: 503,
        error_class: "server_error".into(),
        error: "the endpoint answered 503".into(),
        url: "https://ci.example.com/hook".into(),
        remote_address: "93.184.216.34:443".into(),
        ..v1::Entry::default()
    }
}

pub(crate) fn pending(id: &str) -> v1::Entry {
    v1::Entry {
        attempt: 2,
        status: v1::DeliveryStatus::Pending.into(),
        due_at: at(1_800_000_120, 0),
        waits_for: "webhook inactive".into(),
        duration_us: 0,
        response_code: 0,
        error_class: String::new(),
        error: String::new(),
        url: String::new(),
        remote_address: String::new(),
        orphaned: true,
        ..failed(id)
    }
}

/// Ended before its attempt.
pub(crate) fn cancelled(id: &str) -> v1::Entry {
    v1::Entry {
        duration_us: 0,
        response_code: 0,
        error_class: "cancelled".into(),
        error: "webhook deleted".into(),
        url: String::new(),
        remote_address: String::new(),
        ..failed(id)
    }
}

pub(crate) fn whole(entry: v1::Entry) -> v1::Entry {
    let headers = vec![v1::Header { name: "x-testmo-event".into(), value: "run.completed".into() }];
    let request = v1::HttpRequest {
        headers: headers.clone(),
        body: "{\"é\":1}".into(),
        body_sha256: "0b".repeat(32),
        secret_ids: vec![3, 2],
    };
    let timings = v1::Timings {
        dns_us: Some(1_204),
        connect_us: Some(2_000),
        tls_us: None,
        first_byte_us: Some(12_001),
        total_us: 12_345,
        connection_reused: false,
    };
    let response = v1::HttpResponse { headers, body: vec![0xff, 0xfe].into(), truncated: true };
    let trace_id = "4bf92f3577b34da6a3ce929d0e0e4736".into();
    v1::Entry { request: Some(request), response: Some(response), timings: Some(timings), trace_id, ..entry }
}

/// What an export hands on; the cursor says how it ends.
pub(crate) fn exported(cursor: &str) -> Vec<Result<v1::ExportEntriesResponse, Status>> {
    let entry = |entry, cursor: &str| v1::ExportedEntry { entry: Some(entry), cursor: cursor.into() };
    let part = |entries| v1::ExportEntriesResponse { entries, ..v1::ExportEntriesResponse::default() };
    let all =
        [part(vec![entry(pending("b"), "1"), entry(whole(failed("a")), "2")]), part(vec![entry(cancelled("c"), "3")])];
    let entries = if cursor == "empty" { Vec::new() } else { all.to_vec() };
    let total = entries.iter().map(|part| part.entries.len() as i64).sum();
    let mut parts = vec![Ok(v1::ExportEntriesResponse { total, ..part(Vec::new()) })];
    parts.extend(entries.into_iter().map(Ok));
    match cursor {
        "cut" => {}
        "failing" => parts.push(Err(Status::unavailable("the database has gone"))),
        _ => parts.push(Ok(v1::ExportEntriesResponse { complete: true, ..part(Vec::new()) })),
    }
    parts
}

pub(crate) fn replay(webhook_id: i64, state: v1::ReplayState) -> v1::Replay {
    let (is_running, is_cancelled) = (state == v1::ReplayState::Running, state == v1::ReplayState::Cancelled);
    let selection =
        v1::ReplaySelection { webhook_id, from: at(1_800_000_000, 0), to: at(1_800_003_600, 0), events: Vec::new() };
    v1::Replay {
        id: REPLAY.into(),
        selection: Some(selection),
        state: state.into(),
        reason: if is_cancelled { "cancelled by deploy" } else { "" }.into(),
        total: 10,
        queued: 8,
        delivered: 4,
        failed: 1,
        pending: 3,
        created_at: at(1_800_007_200, 0),
        created_by: "deploy".into(),
        ended_at: at(1_800_007_260, 0).filter(|_| !is_running),
    }
}

/// Webhook 8 has had nothing; webhook 13 is told of by a service that is newer.
pub(crate) fn stats(asked: &v1::GetStatsRequest) -> v1::GetStatsResponse {
    let skipped = v1::SkippedEvents { inactive: 3, plan: 4, project_deleted: 5, failing: 6 };
    let interval = v1::IntervalStats { start: at(1_800_000_000, 0), delivered: 1, failed: 2, skipped: Some(skipped) };
    let totals = v1::TotalStats {
        delivered: 1,
        failed: 2,
        not_attempted: 1,
        success_rate: Some(0.25),
        latency: Some(v1::Latency { p50_ms: 0.5, p95_ms: 23.714, p99_ms: 10_000.0 }),
        skipped: Some(skipped),
    };
    let interval_code = if asked.webhook_id == 13 { 99 } else { asked.interval };
    if asked.webhook_id == 8 {
        let totals = Some(v1::TotalStats::default());
        return v1::GetStatsResponse { totals, interval: interval_code, ..v1::GetStatsResponse::default() };
    }
    v1::GetStatsResponse {
        intervals: vec![interval],
        totals: Some(totals),
        pending: 7,
        oldest_pending_since: at(1_800_000_060, 0),
        interval: interval_code,
    }
}
