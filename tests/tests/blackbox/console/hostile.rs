//! Every stored text that others write, filled with what could do harm: nothing runs, nothing breaks the layout, and the
//! policy is not even tried.

use blackbox::{
    browser::Setup,
    events, history,
    product::Mode,
    receiver::{Answer, Receiver},
    run_test, webhooks,
};
use proto::v1::PutProjectRequest;
use serde_json::{Value, json};

use super::{SOON, World};

/// What browsers and terminals might take for more than text.
const CORPUS: [&str; 8] = [
    "<script>window.ran = 1</script>",
    "\"><img src=x onerror=\"window.ran = 1\">",
    "</textarea></title></pre><svg onload=window.ran=1>",
    "javascript:window.ran=1//'\"`{{7*7}}${7*7}",
    "\u{202e}gnp.exe\u{2066}\u{200f}\u{202a}",
    "a\u{200b}b\u{feff}c &lt;b&gt; &#60;i&#62;",
    "<a href=//evil.example style=position:fixed;inset:0>x</a>",
    "<meta http-equiv=refresh content=\"0;url=//evil.example\"><base href=//evil.example>",
];

#[test]
fn nothing_that_others_write_does_anything() {
    run_test(async {
        let world = World::start(Mode::Embedded, Setup::default()).await;
        let id = fill(&world).await;
        world.sign_in_as_system_admin().await;
        let browser = &world.browser;
        let admin = world.product.admin();
        let delivery = history::page(&admin, id, "").await[0].delivery().to_owned();
        let paths = [
            "/".to_owned(),
            format!("/?q={}", "%3Cscript%3Ewindow.ran=1%3C/script%3E"),
            format!("/webhooks/{id}"),
            format!("/webhooks/{id}#projects"),
            format!("/webhooks/{id}/deliveries"),
            format!("/webhooks/{id}/changes"),
            format!("/webhooks/{id}/explain?event_id=%22%3E%3Cscript%3Ewindow.ran=1%3C/script%3E"),
            "/deliveries".to_owned(),
            format!("/deliveries/{delivery}"),
            "/tokens".to_owned(),
        ];
        for path in paths {
            browser.open(&path).await;
            let found = browser.run(LOOK, json!([])).await;
            assert_eq!(found["ran"], Value::Null, "{path}: something ran");
            assert_eq!(found["foreign"], json!([]), "{path}: elements that are not ours");
            assert_eq!(found["overflow"], 0, "{path} is wider than the window");
            assert_eq!(found["controls"], false, "{path}: a control character is on the page");
        }
        // What is written live is text as well.
        browser.open(&format!("/webhooks/{id}/deliveries")).await;
        browser.sees("Live").await;
        world.product.publisher().publish(events::run_completed(1, 2)).await.expect("an accepted event");
        blackbox::wait::eventually(SOON, "a second row", async || {
            let rows = browser.run("return document.querySelectorAll('tbody tr').length", json!([])).await;
            (rows.as_i64() > Some(1)).then_some(())
        })
        .await;
        assert_eq!(browser.run(LOOK, json!([])).await["ran"], Value::Null);
        world.is_quiet().await;
    });
}

/// What is on the page that should not be.
const LOOK: &str = r#"
    const foreign = [...document.querySelectorAll("img, iframe, base, style, [style], [onerror], [onload], svg[onload]")];
    const links = [...document.querySelectorAll("a")].filter((a) => a.origin !== location.origin);
    const scripts = [...document.scripts].filter((script) => !script.src.startsWith(location.origin + "/assets/"));
    const page = document.documentElement;
    return {
        ran: window.ran ?? null,
        foreign: [...foreign, ...links, ...scripts].map((element) => element.outerHTML),
        overflow: page.scrollWidth - page.clientWidth,
        controls: /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/.test(page.innerText),
    };
"#;

/// Puts the corpus into everything that is stored; the id of the webhook.
async fn fill(world: &World) -> i64 {
    let admin = world.product.admin();
    let all = CORPUS.join(" ");
    let name = format!("{} {}", CORPUS[1], "long".repeat(40));
    let receiver: &Receiver = &world.receiver;
    let mut answer =
        Answer::status(400).body(format!("{all}\u{1b}[31m\u{1b}]8;;http://evil.example\u{7}x\r\n\0\u{9b}"));
    for (index, text) in CORPUS.iter().enumerate().filter(|(_, text)| text.is_ascii()) {
        answer = answer.header(&format!("x-hostile-{index}"), text);
    }
    receiver.script("/in", answer);
    let core = world.product.grpc(Some(world.product.publisher_token()));
    let told = PutProjectRequest {
        instance: "default".to_owned(),
        project_id: 1,
        name: CORPUS[0].to_owned(),
        url: String::new(),
        version: 2,
    };
    core.instances().put_project(told).await.expect("a project is told");
    let url = receiver.url("/in?x=%22%3E%3Cscript%3Ewindow.ran=1%3C/script%3E");
    let body = json!({
        "name": name, "url": url, "type": "generic", "events": ["*"], "projects": [1], "allow_insecure": true,
        "filter": ["data.run.name not contains \"</textarea><script>window.ran = 1</script>\""],
        "headers": {"x-hostile": "</textarea><script>window.ran = 1</script>"},
    });
    let id = webhooks::create(&admin, body).await.id;
    let renamed = admin.patch(&format!("/api/v1/webhooks/{id}"), json!({"name": CORPUS[2]})).await;
    let _ = renamed.expect(200);
    let renamed = admin.patch(&format!("/api/v1/webhooks/{id}"), json!({"name": name})).await;
    let _ = renamed.expect(200);
    let token = admin.post("/api/v1/tokens", json!({"name": CORPUS[0], "role": "member"})).await;
    let _ = token.expect(201);
    let mut event = events::run_completed(1, 1);
    event.extra_json = json!({"note": all, "control": "\u{1b}[31m"}).to_string();
    if let Some(user) = &mut event.user {
        user.name = CORPUS[0].to_owned();
    }
    world.product.publisher().publish(event).await.expect("an accepted event");
    receiver.wait_for("/in", 1, SOON).await;
    blackbox::wait::eventually(SOON, "the failed entry", async || {
        let page = history::page(&admin, id, "status=failed").await;
        (!page.is_empty()).then_some(())
    })
    .await;
    id
}
