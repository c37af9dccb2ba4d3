//! The description of the API, for programs (`/openapi.json`) and for people (`/docs`): made once, needs no token.

mod html;
mod parts;

use axum::{
    Extension,
    body::Bytes,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use crate::{
    openapi::{Operation, Route, Tag, schema},
    query::NoQuery,
};

/// Nothing but the stylesheet beside the page: no script, no picture, no frame, no form.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const STYLE: &str = include_str!("style.css");

/// The document and the page, as they are sent.
#[derive(Clone)]
pub(crate) struct Manual {
    document: Bytes,
    page: Bytes,
}

impl Manual {
    pub(crate) fn new(document: &Value) -> Self {
        Self { document: document.to_string().into(), page: html::page(document).into() }
    }
}

/// `GET /openapi.json`
async fn document(_: NoQuery, Extension(manual): Extension<Manual>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], manual.document).into_response()
}

/// `GET /docs`
async fn page(_: NoQuery, Extension(manual): Extension<Manual>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    (headers, manual.page).into_response()
}

/// `GET /docs.css`
async fn style(_: NoQuery) -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE).into_response()
}

pub(crate) fn routes() -> Vec<Route> {
    let text = || json!({"type": "string"});
    let document_docs = Operation::new(Tag::Documentation, "getOpenApi", "Read the OpenAPI document")
        .describe("This document. Needs no token: it is the same for everybody, and tells nothing of any instance.")
        .without_token()
        .answers(200, "An OpenAPI document.", schema::object([("openapi", text())]), json!({"openapi": "3.1.0"}));
    let page_docs = Operation::new(Tag::Documentation, "getApiPage", "Read the API page")
        .describe("The same for people, as HTML. Needs no token.")
        .without_token()
        .answers_as(200, "A page.", "text/html", text(), json!("<!doctype html>"));
    let style_docs = Operation::new(Tag::Documentation, "getApiPageStyle", "Read the stylesheet of the API page")
        .without_token()
        .answers_as(200, "A stylesheet.", "text/css", text(), json!(":root { color-scheme: light dark }"));
    vec![
        Route::get("/openapi.json", document, document_docs),
        Route::get("/docs", page, page_docs),
        Route::get("/docs.css", style, style_docs),
    ]
}
