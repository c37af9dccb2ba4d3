//! Forms as browsers post them, each with the proof that it is one of ours.

use axum::{
    Form,
    body::Body,
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use proto::error::ErrorCode;

use super::{trouble::Trouble, visitor::Visitor};
use crate::{Services, body, error::Failure};

/// The fields of a form, in the order sent; a name may come more than once.
#[derive(Default)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// The value of a field, without the line end that browsers add to lines; empty where there is none.
    pub(super) fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// The lines of a field, those with nothing in them left out.
    pub(super) fn lines(&self, name: &str) -> Vec<String> {
        let lines = self.text(name).lines().map(str::trim);
        lines.filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }

    /// All values of a name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether a box is ticked.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key == name)
    }

    pub(super) fn number(&self, name: &str) -> Option<i64> {
        self.text(name).trim().parse().ok()
    }
}

/// A form that somebody who is signed in has posted from one of our pages.
pub(super) struct Submitted {
    pub(super) visitor: Visitor,
    pub(super) fields: Fields,
}

impl FromRequest<Services> for Submitted {
    type Rejection = Response;

    async fn from_request(request: Request, services: &Services) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        must_be_ours(&parts.headers).map_err(IntoResponse::into_response)?;
        let visitor = Visitor::from_request_parts(&mut parts, services).await?;
        let fields = read(Request::from_parts(parts, body)).await.map_err(IntoResponse::into_response)?;
        // Both are short and random; how long the comparison takes tells nobody anything who cannot read the page.
        if fields.text("proof") != visitor.proof {
            let text = "This form is from an earlier session. Go back, load the page again, and repeat what you did.";
            return Err(Trouble::from(Failure::new(ErrorCode::Forbidden, text)).into_response());
        }
        Ok(Self { visitor, fields })
    }
}

/// A form for signing in: there is no session yet that could prove anything.
pub(super) struct Unproven(pub(super) Fields);

impl FromRequest<Services> for Unproven {
    type Rejection = Trouble;

    async fn from_request(request: Request, _: &Services) -> Result<Self, Trouble> {
        must_be_ours(request.headers())?;
        read(request).await.map(Self)
    }
}

/// That the browser does not say of the form that another site's page has sent it.
fn must_be_ours(headers: &HeaderMap) -> Result<(), Trouble> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let is_ours = match (text("sec-fetch-site"), text("origin")) {
        (Some(site), _) => site == "same-origin",
        // Only programs leave out both; the proof in the form is asked for all the same.
        (None, None) => true,
        (None, Some(origin)) => {
            let host = origin.split_once("://").map(|(_, host)| host);
            // A proxy may have changed `host`; a page of another site cannot set the other header.
            host.is_some() && (host == text("host") || host == text("x-forwarded-host"))
        }
    };
    if is_ours {
        return Ok(());
    }
    let text = "This form was sent by another site's page. Nothing was done.";
    Err(Failure::new(ErrorCode::Forbidden, text).into())
}

async fn read(request: Request) -> Result<Fields, Trouble> {
    let media_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = media_type.and_then(|value| value.split(';').next()).unwrap_or_default();
    if !essence.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(Failure::new(ErrorCode::UnsupportedMediaType, "This is not a form.").into());
    }
    let (parts, body) = request.into_parts();
    let bytes = body::read(Request::from_parts(parts.clone(), body)).await?;
    let read = Form::<Vec<(String, String)>>::from_request(Request::from_parts(parts, Body::from(bytes)), &()).await;
    match read {
        Ok(Form(pairs)) => Ok(Fields(pairs)),
        Err(_) => Err(Failure::new(ErrorCode::Malformed, "The form cannot be read.").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_other_sites_are_seen() {
        let ours = |pairs: &[(&'static str, &str)]| {
            let headers = pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
            must_be_ours(&headers).is_ok()
        };
        let host = ("host", "hooks.example:8080");
        assert!(ours(&[host]));
        assert!(ours(&[host, ("origin", "http://hooks.example:8080")]));
        assert!(ours(&[host, ("sec-fetch-site", "same-origin"), ("origin", "null")]));
        assert!(ours(&[host, ("origin", "https://public.example"), ("x-forwarded-host", "public.example")]));
        for (name, value) in [
            ("origin", "http://hooks.example"),
            ("origin", "null"),
            ("origin", "https://evil.example"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("sec-fetch-site", "none"),
        ] {
            assert!(!ours(&[host, (name, value)]), "{name}: {value}");
        }
    }
}
