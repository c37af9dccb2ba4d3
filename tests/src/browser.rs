//! A real Chromium, driven through chromedriver: WebDriver is JSON over HTTP, and what the tests need of it is little.

use std::{process::Command, time::Duration};

use serde_json::{Value, json};

use crate::{ports, process::Process, rest::Rest, run, wait::eventually};

/// How long the browser may take to start, or a page to become what is waited for.
const SOON: Duration = Duration::from_secs(30);
/// What names an element in WebDriver's answers.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// How a browser is set up.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// Whether pages may run scripts.
    pub scripts: bool,
    /// Width and height of the window.
    pub window: (u32, u32),
}

impl Default for Setup {
    fn default() -> Self {
        Self { scripts: true, window: (1280, 900) }
    }
}

/// A browser with one window; it ends when dropped.
pub struct Browser {
    rest: Rest,
    session: String,
    /// Where pages without a host are.
    base: String,
    _driver: Process,
}

impl Browser {
    /// Starts one with a fresh profile, for pages of the server at `base`, such as `http://127.0.0.1:8080`.
    pub async fn start(base: &str, setup: Setup) -> Self {
        let (port, folder) = (ports::free(), run::folder("browser"));
        let mut command = Command::new("chromedriver");
        command.arg(format!("--port={port}")).env("HOME", &folder);
        let driver = Process::start("chromedriver", &mut command, &folder, "KILL");
        let rest = Rest::new(([127, 0, 0, 1], port).into(), None);
        eventually(SOON, "chromedriver is ready", async || {
            let answer = rest.try_send(hyper::Method::GET, "/status", None).await.ok()?;
            (answer.json["value"]["ready"] == true).then_some(())
        })
        .await;
        let answer = rest.post("/session", capabilities(&folder.join("profile").to_string_lossy(), setup)).await;
        let session = answer.json["value"]["sessionId"].as_str();
        let session = session.unwrap_or_else(|| panic!("no session: {}", answer.json)).to_owned();
        let browser = Self { rest, session, base: base.to_owned(), _driver: driver };
        let (width, height) = setup.window;
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        browser.devtools("Emulation.setDeviceMetricsOverride", size).await;
        browser
    }

    async fn ask(&self, path: &str, body: Value) -> Result<Value, Value> {
        let answer = self.rest.post(&format!("/session/{}{path}", self.session), body).await;
        let value = answer.json["value"].clone();
        if answer.status == 200 { Ok(value) } else { Err(value) }
    }

    async fn call(&self, path: &str, body: Value) -> Value {
        self.ask(path, body).await.unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Loads a page.
    pub async fn open(&self, path: &str) {
        self.call("/url", json!({"url": format!("{}{path}", self.base)})).await;
    }

    /// The path of the page, with its query.
    pub async fn path(&self) -> String {
        let url = self.run("return location.pathname + location.search", json!([])).await;
        url.as_str().expect("an address").to_owned()
    }

    /// Runs a script in the page, as the driver may whatever the page's own policy; what it returns.
    pub async fn run(&self, script: &str, args: Value) -> Value {
        self.call("/execute/sync", json!({"script": script, "args": args})).await
    }

    /// Runs a script that calls its last argument with what is to be returned.
    pub async fn run_async(&self, script: &str, args: Value) -> Value {
        self.call("/execute/async", json!({"script": script, "args": args})).await
    }

    /// A command of the DevTools protocol.
    pub async fn devtools(&self, command: &str, params: Value) -> Value {
        self.call("/goog/cdp/execute", json!({"cmd": command, "params": params})).await
    }

    /// Waits until there is an element for this XPath that can be seen; its name.
    async fn find(&self, xpath: &str) -> String {
        eventually(SOON, Missing(xpath), async || {
            let found = self.ask("/element", by_xpath(xpath)).await.ok()?;
            found[ELEMENT].as_str().map(str::to_owned)
        })
        .await
    }

    /// Clicks the first element of this XPath, as a person does: it must be there and nothing over it.
    pub async fn click(&self, xpath: &str) {
        eventually(SOON, Missing(xpath), async || {
            let element = self.find(xpath).await;
            self.ask(&format!("/element/{element}/click"), json!({})).await.ok()
        })
        .await;
    }

    /// Clicks the button or link that is called so: in a dialog, else in the page's content, else anywhere.
    pub async fn press(&self, name: &str) {
        let called =
            format!("[(self::a or self::button) and not(@hidden) and starts-with(normalize-space(.), \"{name}\")]");
        eventually(SOON, Missing(name), async || {
            for place in ["//dialog", "//main", ""] {
                let found = self.ask("/element", by_xpath(&format!("{place}//*{called}"))).await;
                if let Ok(found) = found {
                    let element = found[ELEMENT].as_str()?.to_owned();
                    return self.ask(&format!("/element/{element}/click"), json!({})).await.ok();
                }
            }
            None
        })
        .await;
    }

    /// Waits until there is an element of this XPath.
    pub async fn has(&self, xpath: &str) {
        self.find(xpath).await;
    }

    /// Waits until there is no element of this XPath.
    pub async fn lacks(&self, xpath: &str) {
        eventually(SOON, format!("there is no {xpath}"), async || self.ask("/element", by_xpath(xpath)).await.err())
            .await;
    }

    /// Writes into the field with this label, in the place of what is in it.
    pub async fn fill(&self, label: &str, text: &str) {
        let id = self.id_of(label).await;
        let element = self.find(&format!("//*[@id='{id}']")).await;
        self.call(&format!("/element/{element}/clear"), json!({})).await;
        self.call(&format!("/element/{element}/value"), json!({"text": text})).await;
    }

    /// Chooses from the list with this label.
    pub async fn choose(&self, label: &str, option: &str) {
        let id = self.id_of(label).await;
        self.click(&format!("//select[@id='{id}']/option[normalize-space(.)=\"{option}\"]")).await;
    }

    /// Ticks the box, or takes the choice, with this label.
    pub async fn tick(&self, label: &str) {
        self.click(&format!("//label[starts-with(normalize-space(.), \"{label}\")]")).await;
    }

    async fn id_of(&self, label: &str) -> String {
        let element = self.find(&format!("//label[starts-with(normalize-space(.), \"{label}\")]")).await;
        let path = format!("/session/{}/element/{element}/attribute/for", self.session);
        let answer = self.rest.get(&path).await;
        answer.json["value"].as_str().unwrap_or_else(|| panic!("the label {label} is for no field")).to_owned()
    }

    /// Presses keys, one after the other, wherever the focus is.
    pub async fn keys(&self, keys: &[&str]) {
        let stroke = |key: &&str| [json!({"type": "keyDown", "value": key}), json!({"type": "keyUp", "value": key})];
        let actions: Vec<Value> = keys.iter().flat_map(stroke).collect();
        self.call("/actions", json!({"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})).await;
    }

    /// All text of the page that can be seen.
    pub async fn text(&self) -> String {
        let element = self.find("//body").await;
        let answer = self.rest.get(&format!("/session/{}/element/{element}/text", self.session)).await;
        answer.json["value"].as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the page shows this text.
    pub async fn sees(&self, text: &str) {
        eventually(SOON, Missing(text), async || self.text().await.contains(text).then_some(())).await;
    }

    /// Waits until the page does not show this text.
    pub async fn sees_no(&self, text: &str) {
        let gone = async || (!self.text().await.contains(text)).then_some(());
        eventually(SOON, format!("the page does not show {text:?}"), gone).await;
    }

    /// Waits until the page's path begins so.
    pub async fn is_at(&self, start: &str) {
        eventually(SOON, Missing(start), async || self.path().await.starts_with(start).then_some(())).await;
    }

    /// What the browser has complained of since this was last called: errors of scripts, and breaches of the policy.
    pub async fn complaints(&self) -> Vec<String> {
        let entries = self.call("/se/log", json!({"type": "browser"})).await;
        let entries = entries.as_array().cloned().unwrap_or_default();
        // Below that there is only advice.
        let is_grave = |entry: &&Value| entry["level"] == "SEVERE" || entry["level"] == "WARNING";
        let text = |entry: &Value| entry["message"].as_str().unwrap_or_default().to_owned();
        // Pages that say no are answered 4xx, and the browser tells of it.
        let is_answer = |text: &String| text.contains("the server responded with a status of 4");
        entries.iter().filter(is_grave).map(text).filter(|text| !is_answer(text)).collect()
    }
}

fn by_xpath(xpath: &str) -> Value {
    json!({"using": "xpath", "value": xpath})
}

struct Missing<'a>(&'a str);

impl std::fmt::Display for Missing<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "the browser finds {}", self.0)
    }
}

fn capabilities(profile: &str, setup: Setup) -> Value {
    let args = [
        "--headless".to_owned(),
        "--no-sandbox".to_owned(),
        "--disable-gpu".to_owned(),
        "--disable-quic".to_owned(),
        "--no-first-run".to_owned(),
        "--disable-background-networking".to_owned(),
        "--disable-component-update".to_owned(),
        "--disable-sync".to_owned(),
        "--disable-dev-shm-usage".to_owned(),
        "--lang=en-US".to_owned(),
        format!("--user-data-dir={profile}"),
    ];
    let scripts = if setup.scripts { 1 } else { 2 };
    let prefs = json!({"profile.managed_default_content_settings.javascript": scripts});
    json!({"capabilities": {"alwaysMatch": {
        "browserName": "chrome",
        "timeouts": {"script": 30_000, "pageLoad": 30_000},
        "goog:chromeOptions": {"args": args, "prefs": prefs},
        "goog:loggingPrefs": {"browser": "ALL"},
    }}})
}
