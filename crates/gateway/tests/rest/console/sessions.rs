//! Signing in and out, who is let in, and forms that are not ours.

use axum::{
    body::{Body, to_bytes},
    http::header,
};

use super::browser::Browser;

#[tokio::test]
async fn signing_in_begins_a_session_that_scripts_cannot_read() {
    let mut browser = Browser::new();
    browser.get("/webhooks/7?x=1").await.leads_to("/sign-in?why=&next=%2F%77%65%62%68%6F%6F%6B%73%2F%37%3F%78%3D%31");
    browser.get("/sign-in?next=/webhooks/7").await.ok(200).shows(&["value=\"/webhooks/7\"", "type=\"password\""]);
    let page = browser.sign_in("admin").await.leads_to("/");
    let cookie = page.headers["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Strict; Max-Age=43200"), "{cookie}");
    assert!(!cookie.contains("admin"), "{cookie}");
    browser.get("/").await.ok(200).shows(&["deploy", "System administrator", "acme"]);
    let page = browser.post("/sign-out", &[]).await.leads_to("/sign-in");
    assert!(page.headers["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
}

#[tokio::test]
async fn over_tls_the_cookie_is_for_tls() {
    let browser = Browser::new();
    let request = browser.request("POST", "/sign-in").header("x-forwarded-proto", "https");
    let page = browser.post_raw(request, &[("token", "admin")]).await.leads_to("/");
    let cookie = page.headers["set-cookie"].to_str().unwrap();
    assert!(cookie.starts_with("__Host-testmo_webhooks=") && cookie.ends_with("; Secure"), "{cookie}");
}

#[tokio::test]
async fn who_has_no_console_is_told_so() {
    let mut browser = Browser::new();
    browser.sign_in("nonsense").await.ok(422).shows(&["This token is not valid"]);
    browser.sign_in(" ").await.ok(422).shows(&["Enter a token."]);
    browser.sign_in("member").await.ok(403).shows(&["This token is of a member."]);
    browser.sign_in("publisher").await.ok(403).shows(&["This token is of a publisher."]);
    browser.sign_in("king").await.ok(403);
    browser.sign_in("down").await.ok(503).shows(&["Not available now"]).lacks(&["10.1.2.3"]);
    assert!(browser.cookie.is_none());
    browser.sign_in(&"x".repeat(5_000)).await.ok(422);
}

#[tokio::test]
async fn a_revoked_token_ends_the_session() {
    let mut browser = Browser::signed_in("admin").await;
    browser.api.fake.revoke_all();
    let page = browser.get("/webhooks/7").await.leads_to("/sign-in?why=ended&next=%2F%77%65%62%68%6F%6F%6B%73%2F%37");
    assert!(page.headers["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    browser.get("/sign-in?why=ended").await.ok(200).shows(&["Your session has ended"]);
    browser.post("/webhooks/7/delete", &[]).await.leads_to("/sign-in?why=ended&next=%2F");
    assert!(browser.api.fake.calls().is_empty(), "nothing was done");
    // What is no session of ours is none.
    browser.cookie = Some("testmo_webhooks=AAAA".to_owned());
    browser.get("/").await.leads_to("/sign-in?why=&next=%2F");
}

#[tokio::test]
async fn forms_need_the_proof_and_come_from_here() {
    let mut browser = Browser::signed_in("admin").await;
    let path = "/webhooks/7/deactivate";
    let wrong = [("proof", "AAAAAAAAAAAAAAAAAAAAAA")];
    browser.post_raw(browser.request("POST", path), &wrong).await.ok(403).shows(&["from an earlier session"]);
    browser.post_raw(browser.request("POST", path), &[]).await.ok(403);
    for (name, value) in
        [("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-site"), ("origin", "https://evil.example")]
    {
        let request = browser.request("POST", path).header(name, value).header("host", "hooks.example");
        browser.post_raw(request, &[]).await.ok(403).shows(&["another site"]);
        let request = browser.request("POST", "/sign-in").header(name, value).header("host", "hooks.example");
        browser.post_raw(request, &[("token", "admin")]).await.ok(403);
    }
    assert!(browser.api.fake.calls().is_empty(), "nothing was done");
    let json = browser.request("POST", path).header(header::CONTENT_TYPE, "application/json").body(Body::from("{}"));
    browser.send(json.unwrap()).await.ok(415);
    // A cookie alone opens nothing of the API.
    let request = browser.request("GET", "/api/v1/webhooks").body(Body::empty()).unwrap();
    let (head, _) = browser.api.raw(request).await;
    assert_eq!(head.status, 401);
    browser.get("/").await.ok(200);
    browser.post(path, &[]).await.leads_to("/webhooks/7?done=deactivated");
}

#[tokio::test]
async fn a_link_from_elsewhere_asks_again_from_here() {
    let browser = Browser::new();
    let request = browser.request("GET", "/webhooks/7").header("sec-fetch-site", "cross-site");
    let page = browser.send(request.body(Body::empty()).unwrap()).await.ok(200);
    page.shows(&["<meta http-equiv=\"refresh\" content=\"0\">"]);
}

#[tokio::test]
async fn people_get_pages_and_programs_get_json() {
    let mut browser = Browser::new();
    browser.get("/nonsense").await.ok(404).shows(&["There is no such address", "<html"]);
    browser.get("/webhooks/7/activate").await.ok(405).shows(&["Not possible on this address", "<html"]);
    let as_program = |path: &str| browser.api.request("GET", "").uri(path).body(Body::empty()).unwrap();
    for path in ["/nonsense", "/api/v1/nonsense", "/api", "/api/v2"] {
        let (head, body) = browser.api.raw(as_program(path)).await;
        assert_eq!(
            (head.status.as_u16(), &head.headers["content-type"]),
            (404, &"application/json".parse().unwrap()),
            "{path}"
        );
        assert!(to_bytes(body, 10_000).await.unwrap().starts_with(b"{\"message\""), "{path}");
    }
    let request = browser.request("GET", "/api/v1/nonsense").body(Body::empty()).unwrap();
    let (head, _) = browser.api.raw(request).await;
    assert_eq!((head.status.as_u16(), &head.headers["content-type"]), (404, &"application/json".parse().unwrap()));
}

#[tokio::test]
async fn the_first_load_is_small_and_its_files_are_kept() {
    let browser = Browser::signed_in("admin").await;
    let mut total = 0;
    let mut load = async |path: String| {
        let request = browser.request("GET", &path).header("accept-encoding", "gzip, br");
        let (head, body) = browser.api.raw(request.body(Body::empty()).unwrap()).await;
        assert_eq!(head.headers["content-encoding"], "gzip", "{path}");
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        total += bytes.len();
        let mut text = String::new();
        std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(bytes.as_ref()), &mut text).unwrap();
        (head, text)
    };
    let (_, page) = load("/".to_owned()).await;
    let files: Vec<&str> = page.split('"').filter(|part| part.starts_with("/assets/")).collect();
    assert_eq!(files.len(), 3, "{files:?}");
    for file in files {
        let (head, _) = load(file.to_owned()).await;
        assert_eq!(head.headers["cache-control"], "public, max-age=31536000, immutable", "{file}");
    }
    println!("the first load is {total} bytes");
    assert!(total < 60_000, "{total}");
}
