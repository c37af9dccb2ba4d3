//! A browser without scripts: keeps its cookie, and takes the proof for forms from the page before.

use axum::{
    body::{Body, to_bytes},
    http::{HeaderMap, Request, header},
};

use crate::support::Api;

/// Somebody at a browser.
pub(crate) struct Browser {
    pub(crate) api: Api,
    pub(crate) cookie: Option<String>,
    proof: String,
}

/// A page.
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Browser {
    /// Nobody yet.
    pub(crate) fn new() -> Self {
        Self { api: Api::new(), cookie: None, proof: String::new() }
    }

    /// Somebody who has signed in with this token.
    pub(crate) async fn signed_in(token: &str) -> Self {
        let mut browser = Self::new();
        browser.sign_in(token).await.leads_to("/");
        browser.get("/").await.ok(200);
        browser.api.fake.calls();
        browser
    }

    /// Somebody whose calls fail from now on, as the fake's tokens `later-…` say.
    pub(crate) async fn signed_in_later(token: &str) -> Self {
        let mut browser = Self::new();
        browser.sign_in(token).await.leads_to("/");
        // A page that asks for nothing but who it is.
        browser.get("/settings/clear").await.ok(200);
        browser
    }

    pub(crate) async fn sign_in(&mut self, token: &str) -> Page {
        let page = self.post("/sign-in", &[("token", token), ("next", "/")]).await;
        if let Some(cookie) = page.headers.get(header::SET_COOKIE) {
            self.cookie = Some(cookie.to_str().unwrap().split(';').next().unwrap().to_owned());
        }
        page
    }

    pub(crate) async fn get(&mut self, path: &str) -> Page {
        let page = self.send(self.request("GET", path).body(Body::empty()).unwrap()).await;
        if let Some((_, rest)) = page.text.split_once("name=\"proof\" value=\"") {
            self.proof = rest.split('"').next().unwrap().to_owned();
        }
        page
    }

    /// Posts a form as our own page does.
    pub(crate) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        let proof = [("proof", self.proof.as_str())];
        self.post_raw(self.request("POST", path), &[fields, &proof].concat()).await
    }

    pub(crate) async fn post_raw(&self, request: axum::http::request::Builder, fields: &[(&str, &str)]) -> Page {
        let encode = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
        let pairs: Vec<String> =
            fields.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request.body(Body::from(pairs.join("&"))).unwrap()).await
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> axum::http::request::Builder {
        let request = Request::builder().method(method).uri(path).header(header::ACCEPT, "text/html");
        match &self.cookie {
            Some(cookie) => request.header(header::COOKIE, cookie),
            None => request,
        }
    }

    /// Every answer is safe, whatever it is about.
    pub(crate) async fn send(&self, request: Request<Body>) -> Page {
        let what = format!("{} {}", request.method(), request.uri());
        let (head, body) = self.api.raw(request).await;
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        let page = Page {
            status: head.status.as_u16(),
            headers: head.headers,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        };
        page.is_safe(&what);
        page
    }
}

impl Page {
    fn is_safe(&self, what: &str) {
        let policy = self.headers["content-security-policy"].to_str().unwrap();
        for part in
            ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"]
        {
            assert!(policy.contains(part), "{what}: {policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{what}: {policy}");
        assert_eq!(self.headers["cache-control"], "no-store", "{what}");
        assert_eq!(self.headers["x-content-type-options"], "nosniff", "{what}");
        assert_eq!(self.headers["referrer-policy"], "same-origin", "{what}");
        // Nothing inline, and nothing from elsewhere.
        assert!(!self.text.contains(" style=") && !self.text.contains("<style"), "{what}");
        assert_eq!(
            self.text.matches("<script").count(),
            self.text.matches("<script type=\"module\" src=\"/assets/").count(),
            "{what}"
        );
        for attribute in ["src=\"http", "href=\"http", "action=\"http", "href=\"javascript", "href=\"//"] {
            assert!(!self.text.contains(attribute), "{what}: {attribute}");
        }
    }

    /// Panics unless it has this status.
    pub(crate) fn ok(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// Panics unless it leads to this address.
    pub(crate) fn leads_to(self, path: &str) -> Self {
        assert_eq!(self.status, 303, "{}", self.text);
        assert_eq!(self.headers["location"], path);
        self
    }

    /// Panics unless all of this stands on it.
    pub(crate) fn shows(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.text.contains(part), "{part:?} is not on the page: {}", self.text);
        }
        self
    }

    /// Panics if any of this stands on it.
    pub(crate) fn lacks(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(!self.text.contains(part), "{part:?} is on the page: {}", self.text);
        }
        self
    }
}
