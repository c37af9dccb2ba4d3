//! Exports: every format, whole or visibly cut short.

use std::io::Read as _;

use axum::body::{Body, to_bytes};
use flate2::read::GzDecoder;
use serde_json::{Value, json};

use crate::support::Api;

const EXPORT: &str = "/webhooks/deliveries/export";

/// The bytes of an export, or why they broke off.
async fn export(api: &Api, query: &str, encoding: &str) -> (axum::http::HeaderMap, Result<Vec<u8>, axum::Error>) {
    let request = api.request("GET", &format!("{EXPORT}?{query}")).header("authorization", "Bearer admin");
    let (head, body) = api.raw(request.header("accept-encoding", encoding).body(Body::empty()).unwrap()).await;
    assert_eq!(head.status.as_u16(), 200);
    (head.headers, to_bytes(body, usize::MAX).await.map(Vec::from))
}

#[tokio::test]
async fn an_export_is_an_array_or_an_object_a_line() {
    let api = Api::new();
    let (headers, array) = export(&api, "", "").await;
    let array: Vec<Value> = serde_json::from_slice(&array.unwrap()).unwrap();
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["x-total-count"], "3");
    let ids: Vec<_> = array.iter().map(|entry| (&entry["id"], &entry["cursor"])).collect();
    assert_eq!(json!(ids), json!([["b", "1"], ["a", "2"], ["c", "3"]]));
    assert_eq!(array[1]["request"]["body"], "{\"é\":1}");
    assert_eq!(array[1]["response"]["body_encoding"], "base64");
    let shown = api.get("/webhooks/deliveries").await.ok(200).json["result"].clone();
    for (exported, listed) in array.iter().zip(shown.as_array().unwrap()) {
        for (name, value) in listed.as_object().unwrap() {
            assert_eq!(&exported[name], value, "{name}");
        }
    }

    let (headers, lines) = export(&api, "format=ndjson", "gzip;q=0, br").await;
    assert_eq!(headers["content-type"], "application/x-ndjson");
    assert!(!headers.contains_key("content-encoding"));
    let lines = String::from_utf8(lines.unwrap()).unwrap();
    assert!(lines.ends_with('\n'));
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines, array);

    for (query, empty) in [("cursor=empty", "[]\n"), ("cursor=empty&format=ndjson", "")] {
        let (headers, nothing) = export(&api, query, "").await;
        assert_eq!(
            (String::from_utf8(nothing.unwrap()).unwrap().as_str(), &headers["x-total-count"]),
            (empty, &"0".parse().unwrap())
        );
    }
}

#[tokio::test]
async fn an_export_is_compressed_for_who_takes_that() {
    let api = Api::new();
    let (_, plain) = export(&api, "", "identity").await;
    for encoding in ["gzip", "deflate, GZIP;q=0.5"] {
        let (headers, zipped) = export(&api, "", encoding).await;
        assert_eq!(headers["content-encoding"], "gzip");
        let mut text = Vec::new();
        GzDecoder::new(zipped.unwrap().as_slice()).read_to_end(&mut text).unwrap();
        assert_eq!(text, *plain.as_ref().unwrap());
    }
}

#[tokio::test]
async fn what_is_cut_short_is_seen_to_be() {
    let api = Api::new();
    for how in ["cut", "failing"] {
        for format in ["json", "ndjson"] {
            let (_, broken) = export(&api, &format!("format={format}&cursor={how}"), "gzip").await;
            assert!(broken.is_err(), "{how} {format}");
        }
    }
}

#[tokio::test]
async fn an_export_is_asked_for_with_filters_and_refused_by_field() {
    let api = Api::new();
    let query = "webhook=7&status=failed&event=run.created&from=1970-01-01T00:00:07Z&to=1970-01-01T00:00:08Z&test=true";
    let (_, whole) = export(&api, &format!("{query}&cursor=x"), "").await;
    assert!(whole.is_ok());
    let asked = api.fake.calls().pop().unwrap();
    let expected = concat!(
        r#"ExportEntriesRequest { webhook_id: 7, status: Failed, cursor: "x", event_type: "run.created", "#,
        r#"from: Some(Timestamp { seconds: 7, nanos: 0 }), to: Some(Timestamp { seconds: 8, nanos: 0 }), is_test: Some(true) }"#
    );
    assert_eq!(asked, expected);
    for (query, field) in [
        ("format=xml", "format"),
        ("format=", "format"),
        ("webhook=0", "webhook"),
        ("status=done", "status"),
        ("event=run.*", "event"),
        ("test=yes", "test"),
        ("per_page=100", "per_page"),
    ] {
        api.get(&format!("{EXPORT}?{query}")).await.refused(422, "validation_failed", &[field]);
    }
    api.get(&format!("{EXPORT}?webhook=99")).await.refused(429, "rate_limited", &[]);
    assert_eq!(api.send("project_admin", "GET", EXPORT, None).await.status, 403);
}
