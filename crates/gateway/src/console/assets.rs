//! The stylesheet, the script and the icon: in the program, compressed once, at addresses that change with what is in
//! them, so that browsers may keep them for ever.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::LazyLock,
};

use axum::{
    Router,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};

use super::compression::{self, accepts_gzip};
use crate::Services;

/// A file as it is sent.
struct Asset {
    path: String,
    media_type: &'static str,
    plain: &'static [u8],
    gzip: Vec<u8>,
}

static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("console", "css", "text/css; charset=utf-8", include_bytes!("../../static/console.css"))
});
static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("console", "js", "text/javascript; charset=utf-8", include_bytes!("../../static/console.js"))
});
static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("icon", "svg", "image/svg+xml", include_bytes!("../../static/icon.svg")));

impl Asset {
    fn new(name: &str, ending: &str, media_type: &'static str, plain: &'static [u8]) -> Self {
        // Not a secret and not a proof: it only has to change when the file does.
        let mut hasher = DefaultHasher::new();
        plain.hash(&mut hasher);
        let path = format!("/assets/{name}-{:016x}.{ending}", hasher.finish());
        Self { path, media_type, plain, gzip: compression::gzip(plain) }
    }
}

pub(super) fn style_path() -> &'static str {
    &STYLE.path
}

pub(super) fn script_path() -> &'static str {
    &SCRIPT.path
}

pub(super) fn icon_path() -> &'static str {
    &ICON.path
}

pub(super) fn routes() -> Router<Services> {
    [&STYLE, &SCRIPT, &ICON].into_iter().fold(Router::new(), |routes, asset| {
        routes.route(&asset.path, get(async move |headers: HeaderMap| serve(asset, &headers)))
    })
}

fn serve(asset: &'static Asset, headers: &HeaderMap) -> Response {
    let kept = [
        (header::CONTENT_TYPE, HeaderValue::from_static(asset.media_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
        (header::VARY, HeaderValue::from_static("accept-encoding")),
    ];
    if accepts_gzip(headers) {
        let packed = [(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"))];
        return (StatusCode::OK, kept, packed, asset.gzip.as_slice()).into_response();
    }
    (StatusCode::OK, kept, asset.plain).into_response()
}
