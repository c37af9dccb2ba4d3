//! Signing in with a token, and signing out.

use askama::Template;
use axum::{
    extract::{Query, State},
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::Response,
};
use serde::Deserialize;

use super::{
    form::{Submitted, Unproven},
    page::{Frame, html, see_other},
    session,
    trouble::Trouble,
    visitor::{NotAdmitted, admitted},
};
use crate::Services;

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    frame: Frame,
    next: String,
    error: Option<&'static str>,
    ended: bool,
}

#[derive(Template)]
#[template(path = "wrong_role.html")]
struct WrongRolePage {
    frame: Frame,
    role: &'static str,
}

#[derive(Template)]
#[template(path = "bounce.html")]
struct BouncePage {
    frame: Frame,
}

#[derive(Deserialize)]
pub(super) struct Where {
    #[serde(default)]
    next: String,
    #[serde(default)]
    why: String,
}

/// Where to sign in for a request that needs it.
pub(super) fn path(method: &Method, uri: &Uri, why: &str) -> String {
    // What was posted is lost; the page that it was posted from is not known.
    let next = uri.path_and_query().filter(|_| method == Method::GET).map_or("/", |path| path.as_str());
    let next: String = next.bytes().map(|byte| format!("%{byte:02X}")).collect();
    format!("/sign-in?why={why}&next={next}")
}

/// The answer to a request without a session.
pub(super) fn needed(method: &Method, uri: &Uri, headers: &HeaderMap) -> Response {
    let site = headers.get("sec-fetch-site").and_then(|value| value.to_str().ok());
    if method == Method::GET && site == Some("cross-site") {
        // Somebody has followed a link on another site, and the browser has kept the cookie back. Our own page asks again.
        return html(StatusCode::OK, &BouncePage { frame: Frame::outside("One moment") });
    }
    see_other(&path(method, uri, ""))
}

/// The answer to a token whose role has no console.
pub(super) fn wrong_role(role: &str) -> Response {
    let role = match role {
        "member" => "member",
        "publisher" => "publisher",
        _ => "unknown role",
    };
    html(StatusCode::FORBIDDEN, &WrongRolePage { frame: Frame::outside("Not permitted"), role })
}

/// A path of ours; anything else could lead away.
fn own_path(next: &str) -> &str {
    let is_path = next.starts_with('/') && !next.starts_with("//") && next.bytes().all(|byte| byte.is_ascii_graphic());
    if is_path && !next.contains('\\') && !next.starts_with("/sign-") { next } else { "/" }
}

fn form(status: StatusCode, next: &str, error: Option<&'static str>, ended: bool) -> Response {
    let frame = Frame::outside("Sign in");
    html(status, &SignInPage { frame, next: own_path(next).to_owned(), error, ended })
}

/// `GET /sign-in`
pub(super) async fn show(Query(asked): Query<Where>) -> Response {
    form(StatusCode::OK, &asked.next, None, asked.why == "ended")
}

/// `POST /sign-in`
pub(super) async fn enter(
    State(services): State<Services>,
    headers: HeaderMap,
    Unproven(fields): Unproven,
) -> Result<Response, Trouble> {
    let (token, next) = (fields.text("token").trim(), fields.text("next"));
    let refused = |text| Ok(form(StatusCode::UNPROCESSABLE_ENTITY, next, Some(text), false));
    if token.is_empty() {
        return refused("Enter a token.");
    }
    match admitted(&services, token, String::new()).await {
        Ok(_) => {}
        Err(NotAdmitted::SignedOut) => return refused("This token is not valid. It may have expired or been revoked."),
        Err(NotAdmitted::Role(name)) => return Ok(wrong_role(&name)),
        Err(NotAdmitted::Failure(failure)) => return Err(failure.into()),
    }
    let Some(cookie) = services.sessions.begin(token, &headers) else {
        return refused("This token is too long for a browser session. Use an API token, or one for fewer projects.");
    };
    let mut response = see_other(own_path(next));
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(response)
}

/// `POST /sign-out`
pub(super) async fn leave(headers: HeaderMap, _: Submitted) -> Response {
    let mut response = see_other("/sign-in");
    if let Some(cookie) = session::end(&headers) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signing_in_leads_nowhere_else() {
        for (next, expected) in [
            ("/webhooks/7?done=saved", "/webhooks/7?done=saved"),
            ("//evil.example", "/"),
            ("/\\evil.example", "/"),
            ("https://evil.example", "/"),
            ("/a\r\nb", "/"),
            ("/sign-out", "/"),
            ("", "/"),
        ] {
            assert_eq!(own_path(next), expected, "{next:?}");
        }
    }
}
