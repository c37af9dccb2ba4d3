//! Changing webhooks: what is given, and nothing else; by whom, and against which version.

use std::time::Duration;

use blackbox::wait::eventually;
use proto::{
    error::ErrorCode,
    v1::{
        ActivateWebhookRequest, CreateWebhookRequest, CustomHeader, CustomHeaderList, DeactivateWebhookRequest,
        DeleteWebhookRequest, EventList, FilterList, RegenerateSecretRequest, UpdateWebhookRequest,
        update_webhook_request::Scope,
    },
};
use tokio::task::JoinSet;

use crate::fixture::{
    ADMIN, Fixture, MEMBER, NOBODY, PROJECT_ADMIN, STRANGER, code, error, fields, good, list, texts, with,
};

fn patch(id: i64) -> UpdateWebhookRequest {
    UpdateWebhookRequest { id, ..UpdateWebhookRequest::default() }
}

fn scope(projects: &[i64]) -> Option<Scope> {
    list(Some(projects)).map(Scope::Projects)
}

fn events(names: &[&str]) -> Option<EventList> {
    Some(EventList { events: names.iter().map(|name| (*name).to_owned()).collect() })
}

fn header(name: &str, value: &str) -> CustomHeader {
    CustomHeader { name: name.into(), value: value.into() }
}

fn headers(headers: &[(&str, &str)]) -> Option<CustomHeaderList> {
    Some(CustomHeaderList { headers: headers.iter().map(|(name, value)| header(name, value)).collect() })
}

#[tokio::test]
async fn what_is_given_changes_and_nothing_else() {
    let fixture = Fixture::start().await;
    let before = fixture.create(Some(&[1])).await;
    fixture.clock.advance(Duration::from_secs(5));
    let whole = UpdateWebhookRequest {
        name: Some(" New ".into()),
        url: Some("http://other.example/hook?key=secret".into()),
        events: events(&["run.created", "case.*", "*"]),
        scope: Some(Scope::AllProjects(true)),
        allow_insecure: Some(true),
        send_traceparent: Some(true),
        headers: headers(&[("X-Key", "value")]),
        filter: Some(FilterList { conditions: vec!["data.result == failed".into()] }),
        active: Some(false),
        ..patch(before.id)
    };
    let answer = fixture.update(whole).await.unwrap();
    let after = answer.webhook.unwrap();
    assert_eq!(
        texts(&answer.changes),
        [
            r#"name: "CI" -> "New""#,
            r#"url: "https://example.com/hook" -> "http://other.example/hook?key=…""#,
            r#"events: ["run.completed"] -> ["*","run.created","case.*"]"#,
            "projects: [1] -> null",
            "allow_insecure: false -> true",
            "send_traceparent: false -> true",
            r#"headers: [] -> ["x-key"]"#,
            r#"filter: [] -> ["data.result == failed"]"#,
            "active: true -> false",
        ]
    );
    assert_eq!((after.name.as_str(), after.url.as_str()), ("New", "http://other.example/hook?key=secret"));
    assert_eq!((after.events.len(), after.projects.as_ref(), after.allow_insecure), (3, None, true));
    assert_eq!((after.headers.as_slice(), after.warnings.len()), ([header("x-key", "…")].as_slice(), 1));
    assert_eq!((after.active, after.inactive_reason.as_str()), (false, ""));
    assert!(after.secret.starts_with("whsec_…") && before.secret.ends_with(&after.secret["whsec_…".len()..]));
    assert_eq!(
        (after.created_at, after.updated_at.unwrap().seconds),
        (before.created_at, before.updated_at.unwrap().seconds + 5)
    );
    // The fields and the switch are two entries, each with its version.
    assert_eq!(after.version, before.version + 2);
    assert_eq!(fixture.get(before.id).await, after);

    for (one, field) in [
        (UpdateWebhookRequest { name: Some("One".into()), ..patch(before.id) }, "name"),
        (UpdateWebhookRequest { events: events(&["run.*"]), ..patch(before.id) }, "events"),
        (UpdateWebhookRequest { scope: scope(&[4, 2, 4]), ..patch(before.id) }, "projects"),
        (UpdateWebhookRequest { headers: headers(&[]), ..patch(before.id) }, "headers"),
        (UpdateWebhookRequest { filter: Some(FilterList::default()), ..patch(before.id) }, "filter"),
        (UpdateWebhookRequest { url: Some("http://other.example/".into()), ..patch(before.id) }, "url"),
        (UpdateWebhookRequest { active: Some(true), ..patch(before.id) }, "active"),
    ] {
        let before = fixture.get(before.id).await;
        let answer = fixture.update(one).await.unwrap();
        assert_eq!(answer.changes.iter().map(|change| change.field.as_str()).collect::<Vec<_>>(), [field]);
        assert_eq!(answer.webhook.as_ref().unwrap().version, before.version + 1, "{field}");
        assert_eq!(answer.webhook, Some(fixture.get(before.id).await), "{field}");
    }
}

#[tokio::test]
async fn what_changes_nothing_leaves_no_trace() {
    let fixture = Fixture::start().await;
    let request =
        CreateWebhookRequest { headers: vec![header("x-key", "value")], projects: list(Some(&[1])), ..good() };
    let id = fixture.create_from(request).await.id;
    let before = fixture.get(id).await;
    fixture.clock.advance(Duration::from_secs(5));
    for nothing in [
        patch(id),
        UpdateWebhookRequest {
            name: Some(" CI ".into()),
            url: Some("HTTPS://EXAMPLE.com:443/hook".into()),
            r#type: Some("generic".into()),
            events: events(&["run.completed", "run.completed"]),
            scope: scope(&[1, 1]),
            allow_insecure: Some(false),
            headers: headers(&[("X-KEY", "…")]),
            active: Some(true),
            ..patch(id)
        },
        UpdateWebhookRequest { headers: headers(&[("x-key", " value ")]), ..patch(id) },
        UpdateWebhookRequest { name: Some("Not saved".into()), active: Some(false), validate_only: true, ..patch(id) },
    ] {
        let answer = fixture.update(nothing.clone()).await.unwrap();
        assert_eq!(answer.changes.len(), if nothing.validate_only { 2 } else { 0 }, "{nothing:?}");
        let shown = answer.webhook.unwrap();
        assert_eq!((shown.version, shown.active), (before.version, !nothing.validate_only), "{nothing:?}");
        assert_eq!(fixture.get(id).await, before);
    }
    assert_eq!(fixture.log(id).await.len(), 1);
}

#[tokio::test]
async fn a_version_that_is_not_the_current_one_is_refused() {
    let fixture = Fixture::start().await;
    let mut client = fixture.webhooks();
    let id = fixture.create(None).await.id;
    let first = fixture.get(id).await.version;
    let name =
        |name: &str, version| UpdateWebhookRequest { name: Some(name.into()), if_version: Some(version), ..patch(id) };
    let second = fixture.update(name("New", first)).await.unwrap().webhook.unwrap().version;

    let expected = format!("webhook {id} has version {second}, not {first}; read it again and repeat the change");
    let refused = fixture.update(name("Newer", first)).await.unwrap_err();
    assert_eq!((refused.code, &refused.message), (ErrorCode::PreconditionFailed, &expected));
    let if_version = Some(first);
    for refused in [
        error(client.activate_webhook(with(ADMIN, ActivateWebhookRequest { id, if_version })).await),
        error(client.deactivate_webhook(with(ADMIN, DeactivateWebhookRequest { id, if_version })).await),
        error(
            client.regenerate_secret(with(ADMIN, RegenerateSecretRequest { id, if_version, overlap_hours: 99 })).await,
        ),
        error(client.delete_webhook(with(ADMIN, DeleteWebhookRequest { id, if_version })).await),
        // Before what is wrong with the fields.
        fixture.update(name("", first)).await.unwrap_err(),
    ] {
        assert_eq!((refused.code, &refused.message), (ErrorCode::PreconditionFailed, &expected));
    }
    let current = fixture.get(id).await;
    assert_eq!((current.name.as_str(), current.version, current.active), ("New", second, true));
    client.deactivate_webhook(with(ADMIN, DeactivateWebhookRequest { id, if_version: Some(second) })).await.unwrap();
    let if_version = Some(fixture.get(id).await.version);
    client.delete_webhook(with(ADMIN, DeleteWebhookRequest { id, if_version })).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_at_the_same_time_are_not_lost() {
    let fixture = Fixture::start().await;
    let id = fixture.create(Some(&[1])).await.id;
    let requests = [
        UpdateWebhookRequest { name: Some("New".into()), ..patch(id) },
        UpdateWebhookRequest { url: Some("https://other.example/new".into()), ..patch(id) },
        UpdateWebhookRequest { events: events(&["run.*"]), ..patch(id) },
        UpdateWebhookRequest { scope: scope(&[1, 2]), ..patch(id) },
        UpdateWebhookRequest { allow_insecure: Some(true), ..patch(id) },
        UpdateWebhookRequest {
            filter: Some(FilterList { conditions: vec!["data.result == failed".into()] }),
            ..patch(id)
        },
        UpdateWebhookRequest { active: Some(false), ..patch(id) },
    ];
    let mut calls = JoinSet::new();
    for request in requests.iter().cycle().take(20) {
        let (mut client, request) = (fixture.webhooks(), request.clone());
        calls.spawn(async move { client.update_webhook(with(ADMIN, request)).await.map(drop) });
    }
    for answer in calls.join_all().await {
        answer.unwrap();
    }
    let after = fixture.get(id).await;
    assert_eq!((after.name.as_str(), after.url.as_str()), ("New", "https://other.example/new"));
    assert_eq!((after.events, after.projects.unwrap().ids), (vec!["run.*".to_owned()], vec![1, 2]));
    assert!(after.allow_insecure && !after.active && after.filter.len() == 1);
    assert_eq!(fixture.log(id).await.len(), 8, "each change happened once");
}

#[tokio::test]
async fn nobody_waits_for_a_look_up() {
    let fixture = Fixture::start().await;
    let id = fixture.create(None).await.id;
    let mut client = fixture.webhooks();
    let slow = UpdateWebhookRequest { url: Some("https://slow.example/".into()), ..patch(id) };
    let others = async {
        let asked = async || fixture.hosts.asked().contains(&"slow.example".to_owned()).then_some(());
        eventually(Duration::from_secs(5), "the look-up began", asked).await;
        fixture.update(UpdateWebhookRequest { name: Some("Meanwhile".into()), ..patch(id) }).await.unwrap();
        fixture.hosts.gate.add_permits(1);
    };
    let (changed, ()) = tokio::join!(client.update_webhook(with(ADMIN, slow)), others);
    changed.unwrap();
    let after = fixture.get(id).await;
    assert_eq!((after.name.as_str(), after.url.as_str()), ("Meanwhile", "https://slow.example/"));
}

/// What was looked up for one URL says nothing of the one that is there when it is to be saved.
#[tokio::test]
async fn another_url_is_looked_up_again() {
    let fixture = Fixture::start().await;
    fixture.hosts.gate.add_permits(1);
    let id = fixture.create_from(CreateWebhookRequest { url: "https://slow.example/".into(), ..good() }).await.id;
    let mut client = fixture.webhooks();
    let insecure = UpdateWebhookRequest { allow_insecure: Some(true), ..patch(id) };
    let others = async {
        let asked = async || (fixture.hosts.asked().len() == 2).then_some(());
        eventually(Duration::from_secs(5), "the second look-up began", asked).await;
        let moved = UpdateWebhookRequest { url: Some("https://other.example/".into()), ..patch(id) };
        fixture.update(moved).await.unwrap();
        fixture.hosts.gate.add_permits(1);
    };
    let (changed, ()) = tokio::join!(client.update_webhook(with(ADMIN, insecure)), others);
    let after = changed.unwrap().into_inner().webhook.unwrap();
    assert_eq!((after.url.as_str(), after.allow_insecure), ("https://other.example/", true));
    assert_eq!(fixture.hosts.asked(), ["slow.example", "slow.example", "other.example", "other.example"]);
}

#[tokio::test]
async fn addresses_are_looked_up_when_they_matter() {
    let fixture = Fixture::start().await;
    let id = fixture.create(None).await.id;
    let looked_up = || fixture.hosts.asked().len();
    assert_eq!(looked_up(), 1);
    fixture
        .update(UpdateWebhookRequest { name: Some("New".into()), events: events(&["*"]), ..patch(id) })
        .await
        .unwrap();
    fixture.update(UpdateWebhookRequest { url: Some("https://example.com/hook".into()), ..patch(id) }).await.unwrap();
    assert_eq!(looked_up(), 1);
    fixture.update(UpdateWebhookRequest { allow_insecure: Some(true), ..patch(id) }).await.unwrap();
    assert_eq!(looked_up(), 2);
    for (url, validate_only) in [
        ("https://mixed.example/", false),
        ("https://mixed.example/", true),
        ("https://10.0.0.1/", true),
        ("https://unknown.example/", true),
    ] {
        let refused = fixture
            .update(UpdateWebhookRequest { url: Some(url.into()), validate_only, ..patch(id) })
            .await
            .unwrap_err();
        assert_eq!((refused.code, fields(&refused)), (ErrorCode::Validation, vec!["url"]), "{url}");
    }
    assert_eq!(fixture.get(id).await.url, "https://example.com/hook");
}

#[tokio::test]
async fn the_rules_of_fields_hold_for_changes() {
    let fixture = Fixture::start().await;
    let id = fixture.create(None).await.id;
    for (wrong, expected) in [
        (UpdateWebhookRequest { name: Some(String::new()), ..patch(id) }, vec!["name"]),
        (UpdateWebhookRequest { url: Some("http://example.com".into()), ..patch(id) }, vec!["url"]),
        (
            UpdateWebhookRequest { r#type: Some("slack".into()), allow_insecure: Some(true), ..patch(id) },
            vec!["allow_insecure"],
        ),
        (UpdateWebhookRequest { r#type: Some("pigeon".into()), ..patch(id) }, vec!["type"]),
        (UpdateWebhookRequest { events: events(&[]), ..patch(id) }, vec!["events"]),
        (UpdateWebhookRequest { events: events(&["run"]), ..patch(id) }, vec!["events"]),
        (UpdateWebhookRequest { scope: scope(&[]), ..patch(id) }, vec!["projects"]),
        (UpdateWebhookRequest { scope: scope(&[0]), ..patch(id) }, vec!["projects"]),
        (UpdateWebhookRequest { scope: Some(Scope::AllProjects(false)), ..patch(id) }, vec!["all_projects"]),
        (UpdateWebhookRequest { headers: headers(&[("Host", "x")]), ..patch(id) }, vec!["headers"]),
        (UpdateWebhookRequest { headers: headers(&[("x-new", "…")]), ..patch(id) }, vec!["headers"]),
        (
            UpdateWebhookRequest { filter: Some(FilterList { conditions: vec!["x".into()] }), ..patch(id) },
            vec!["filter"],
        ),
        (
            UpdateWebhookRequest { name: Some(String::new()), events: events(&[]), url: Some("x".into()), ..patch(id) },
            vec!["name", "events", "url"],
        ),
    ] {
        let refused = fixture.update(wrong.clone()).await.unwrap_err();
        assert_eq!((refused.code, fields(&refused)), (ErrorCode::Validation, expected), "{wrong:?}");
    }
    assert_eq!(fixture.log(id).await.len(), 1);
}

#[tokio::test]
async fn project_administrators_change_what_is_theirs_to_what_is_theirs() {
    let fixture = Fixture::start().await;
    let mut client = fixture.webhooks();
    let own = fixture.create(Some(&[1])).await.id;
    for (others, token) in [(None, PROJECT_ADMIN), (Some([2, 3].as_slice()), PROJECT_ADMIN), (Some(&[1]), STRANGER)] {
        let id = fixture.create(others).await.id;
        let wrong = UpdateWebhookRequest { name: Some(String::new()), scope: scope(&[1]), ..patch(id) };
        let answer = client.update_webhook(with(token, wrong)).await;
        assert_eq!(code(&answer), Some(ErrorCode::NotFound), "{others:?}");
        let request = RegenerateSecretRequest { id, ..RegenerateSecretRequest::default() };
        assert_eq!(
            code(&client.regenerate_secret(with(token, request)).await),
            Some(ErrorCode::NotFound),
            "{others:?}"
        );
    }
    for (choice, expected) in [
        (scope(&[2, 1]), None),
        (scope(&[1, 3]), Some(ErrorCode::Forbidden)),
        (scope(&[3]), Some(ErrorCode::Forbidden)),
        (Some(Scope::AllProjects(true)), Some(ErrorCode::Forbidden)),
        (scope(&[]), Some(ErrorCode::Validation)),
        (None, None),
    ] {
        let name = Some(format!("{choice:?}"));
        let request = UpdateWebhookRequest { scope: choice, name, ..patch(own) };
        assert_eq!(code(&client.update_webhook(with(PROJECT_ADMIN, request.clone())).await), expected, "{request:?}");
    }
    assert_eq!(fixture.get(own).await.projects.unwrap().ids, [1, 2]);
    for (token, expected) in [(MEMBER, ErrorCode::Forbidden), (NOBODY, ErrorCode::Unauthenticated)] {
        assert_eq!(code(&client.update_webhook(with(token, patch(own))).await), Some(expected));
        let request = RegenerateSecretRequest { id: own, ..RegenerateSecretRequest::default() };
        assert_eq!(code(&client.regenerate_secret(with(token, request)).await), Some(expected));
    }
}
