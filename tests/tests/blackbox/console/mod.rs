//! The console in a real Chromium: what the article says of its screens, as system and as project administrator; text
//! that means harm; accessibility; and the same without scripts.

mod accessible;
mod hostile;
mod projects;
mod walk;
mod without_scripts;

use std::time::Duration;

use blackbox::{
    browser::{Browser, Setup},
    product::Product,
    receiver::Receiver,
};
use proto::v1::PutProjectRequest;
use serde_json::json;

const SOON: Duration = Duration::from_secs(30);

/// A product that has told of two projects, a receiver, and a browser.
struct World {
    product: Product,
    receiver: Receiver,
    browser: Browser,
}

impl World {
    async fn start(mode: blackbox::product::Mode, setup: Setup) -> Self {
        let product = Product::start(mode).await;
        let core = product.grpc(Some(product.publisher_token()));
        for (project_id, name) in [(1, "Webshop"), (2, "Mobile app")] {
            let (instance, name, url) = ("default".to_owned(), name.to_owned(), String::new());
            let told = PutProjectRequest { instance, project_id, name, url, version: 1 };
            core.instances().put_project(told).await.expect("a project is told");
        }
        let base = format!("http://{}", product.admin().address());
        Self { receiver: Receiver::start().await, browser: Browser::start(&base, setup).await, product }
    }

    async fn sign_in(&self, token: &str) {
        self.browser.open("/").await;
        self.browser.is_at("/sign-in").await;
        self.browser.fill("Token", token).await;
        self.browser.press("Sign in").await;
        self.browser.is_at("/").await;
        self.browser.sees("Add webhook").await;
    }

    async fn sign_in_as_system_admin(&self) {
        self.sign_in(self.product.admin_token()).await;
    }

    /// A token of an administrator of project 1.
    async fn project_admin(&self) -> String {
        let body = json!({"name": "webshop", "role": "project_admin", "projects": [1]});
        let made = self.product.admin().post("/api/v1/tokens", body).await.expect(201);
        made["token"].as_str().expect("the text of the new token").to_owned()
    }

    /// Panics if the browser has complained of anything.
    async fn is_quiet(&self) {
        let complaints = self.browser.complaints().await;
        assert!(complaints.is_empty(), "{complaints:#?}");
    }
}
