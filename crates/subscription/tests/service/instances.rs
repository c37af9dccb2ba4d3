//! Projects as Testmo core tells them, who may tell, and what a message must be like.

use proto::{
    error::ErrorCode::{self, Forbidden, Unauthenticated, Validation},
    internal::v1::{ChangesRequest, DeletedProject},
    v1::{
        ActivateWebhookRequest, CreateWebhookRequest, DeleteProjectRequest, ListProjectsRequest, PutProjectRequest,
        SetPlanRequest, UpdateWebhookRequest, Webhook, update_webhook_request::Scope,
    },
};

use crate::fixture::{
    ADMIN, EVERYWHERE, Fixture, MEMBER, NOBODY, PROJECT_ADMIN, PUBLISHER, STRANGER, code, error, fields, good, list,
    texts, with,
};

async fn directory(fixture: &Fixture, token: &str) -> Vec<(i64, String)> {
    let request = ListProjectsRequest::default();
    let answer = fixture.webhooks().list_projects(with(token, request)).await.unwrap().into_inner();
    assert_eq!(answer.total, answer.projects.len() as i64);
    answer.projects.into_iter().map(|project| (project.id, project.name)).collect()
}

fn state(webhook: &Webhook) -> (Option<Vec<i64>>, bool, &str) {
    let projects = webhook.projects.as_ref().map(|projects| projects.ids.clone());
    (projects, webhook.active, webhook.inactive_reason.as_str())
}

fn named(names: &[(i64, &str)]) -> Vec<(i64, String)> {
    names.iter().map(|(id, name)| (*id, (*name).to_owned())).collect()
}

#[tokio::test]
async fn the_directory_has_the_newest_of_each_project() {
    let fixture = Fixture::start().await;
    fixture.put_project(1, " Web ", 5).await;
    fixture.put_project(3, "App", 1).await;
    assert_eq!(directory(&fixture, ADMIN).await, named(&[(3, "App"), (1, "Web")]));
    for (name, version) in [("Older", 4), ("Same", 5)] {
        fixture.put_project(1, name, version).await;
    }
    assert_eq!(directory(&fixture, ADMIN).await, named(&[(3, "App"), (1, "Web")]));
    fixture.put_project(1, "New", 6).await;
    assert_eq!(directory(&fixture, ADMIN).await, named(&[(3, "App"), (1, "New")]));
    assert_eq!(directory(&fixture, PROJECT_ADMIN).await, named(&[(1, "New")]));
    assert_eq!(directory(&fixture, STRANGER).await, []);

    fixture.delete_project(1, 6).await;
    assert_eq!(directory(&fixture, ADMIN).await.len(), 2, "it is not newer");
    fixture.delete_project(1, 7).await;
    fixture.put_project(1, "Late", 6).await;
    assert_eq!(directory(&fixture, ADMIN).await, named(&[(3, "App")]));
    fixture.put_project(1, "Back", 8).await;
    assert_eq!(directory(&fixture, PROJECT_ADMIN).await, named(&[(1, "Back")]));
    for (token, expected) in [(MEMBER, Forbidden), (PUBLISHER, Forbidden), (NOBODY, Unauthenticated)] {
        let answer = fixture.webhooks().list_projects(with(token, ListProjectsRequest::default())).await;
        assert_eq!(code(&answer), Some(expected), "{token}");
    }
}

#[tokio::test]
async fn a_deleted_project_leaves_every_scope() {
    let fixture = Fixture::start().await;
    let both = fixture.create(Some(&[1, 2])).await.id;
    let only = fixture.create(Some(&[1])).await.id;
    let all = fixture.create(None).await.id;
    let paused =
        fixture.create_from(CreateWebhookRequest { inactive: true, projects: list(Some(&[1])), ..good() }).await.id;
    let other = fixture.create(Some(&[2])).await;

    assert_eq!(fixture.delete_project(1, 3).await, 1);
    for (id, expected) in [
        (both, (Some(vec![2]), true, "")),
        (only, (Some(vec![]), false, "projects_deleted")),
        (all, (None, true, "")),
        (paused, (Some(vec![]), false, "")),
        (other.id, (Some(vec![2]), true, "")),
    ] {
        assert_eq!(state(&fixture.get(id).await), expected);
    }
    assert_eq!(fixture.get(other.id).await.version, other.version);
    let entry = fixture.log(only).await.remove(0);
    assert_eq!(
        (entry.action.as_str(), entry.actor.as_str(), entry.actor_role.as_str()),
        ("project_deleted", "Testmo core", "publisher")
    );
    assert_eq!(texts(&entry.fields), ["projects: [1] -> []", "active: true -> false"]);
    // Once.
    assert_eq!(fixture.delete_project(1, 3).await, 0);
    assert_eq!(fixture.delete_project(1, 4).await, 0);
    assert_eq!(fixture.log(only).await.len(), 2);

    let request = ChangesRequest { since: 0, with_secrets: false };
    let changes = fixture.configuration().changes(request).await.unwrap().into_inner();
    assert_eq!(changes.deleted_projects, [DeletedProject { instance: "acme".into(), project_id: 1 }]);
    let told = |id| changes.webhooks.iter().find(|webhook| webhook.id == id).unwrap();
    assert!(!told(only).active && !told(only).all_projects && told(only).projects.is_empty());
}

#[tokio::test]
async fn a_webhook_without_projects_needs_some_before_it_is_activated() {
    let fixture = Fixture::start().await;
    let mut client = fixture.webhooks();
    let id = fixture.create(Some(&[1])).await.id;
    fixture.delete_project(1, 1).await;
    let activate = ActivateWebhookRequest { id, if_version: None };
    let refused = error(client.activate_webhook(with(ADMIN, activate)).await);
    assert_eq!(refused.code, ErrorCode::Conflict);
    assert_eq!(refused.message, format!("webhook {id} has no project left; choose projects first"));
    let patch = |scope: &[i64]| UpdateWebhookRequest {
        id,
        scope: list(Some(scope)).map(Scope::Projects),
        ..Default::default()
    };
    let switch = UpdateWebhookRequest { id, active: Some(true), ..Default::default() };
    assert_eq!(fixture.update(switch).await.unwrap_err().code, ErrorCode::Conflict);
    // Only system administrators see it; everything else of it can be changed.
    let answer = client.activate_webhook(with(PROJECT_ADMIN, activate)).await;
    assert_eq!(code(&answer), Some(ErrorCode::NotFound));
    let renamed = UpdateWebhookRequest { id, name: Some("New".into()), ..Default::default() };
    assert_eq!(state(&fixture.update(renamed).await.unwrap().webhook.unwrap()).0, Some(vec![]));
    for scope in [&[1][..], &[1, 2]] {
        let refused = fixture.update(patch(scope)).await.unwrap_err();
        assert_eq!((refused.code, fields(&refused)), (Validation, vec!["projects"]));
        assert_eq!(refused.message, "projects: must not name deleted projects (1)");
    }
    let answer = fixture.update(UpdateWebhookRequest { active: Some(true), ..patch(&[2]) }).await.unwrap();
    assert_eq!(state(&answer.webhook.unwrap()), (Some(vec![2]), true, ""));
    assert_eq!(texts(&answer.changes), ["projects: [] -> [2]", "active: false -> true"]);
}

#[tokio::test]
async fn new_webhooks_have_no_deleted_projects() {
    let fixture = Fixture::start().await;
    // Never told of before.
    assert_eq!(fixture.delete_project(2, 5).await, 0);
    fixture.put_project(2, "Late", 4).await;
    for validate_only in [true, false] {
        let request = CreateWebhookRequest { projects: list(Some(&[1, 2])), validate_only, ..good() };
        let refused = error(fixture.webhooks().create_webhook(with(PROJECT_ADMIN, request)).await);
        assert_eq!((refused.code, fields(&refused)), (Validation, vec!["projects"]));
    }
    fixture.put_project(2, "Back", 6).await;
    fixture.create(Some(&[1, 2])).await;
}

#[tokio::test]
async fn only_publishers_tell_and_only_of_their_instance() {
    let fixture = Fixture::start().await;
    let mut client = fixture.instances();
    for (token, instance, expected) in [
        (PUBLISHER, "", None),
        (PUBLISHER, "acme", None),
        (PUBLISHER, "other", Some(Forbidden)),
        (PUBLISHER, "No Name", Some(Validation)),
        (EVERYWHERE, "other", None),
        (EVERYWHERE, "", Some(Validation)),
        (EVERYWHERE, "No Name", Some(Validation)),
        (ADMIN, "", Some(Forbidden)),
        (PROJECT_ADMIN, "", Some(Forbidden)),
        (MEMBER, "", Some(Forbidden)),
        (NOBODY, "", Some(Unauthenticated)),
    ] {
        let (instance, version, project_id) = (instance.to_owned(), 1, 1);
        let what = format!("{token} {instance}");
        let request = SetPlanRequest { instance: instance.clone(), plan: "business".into(), version };
        let told = client.set_plan(with(token, request)).await;
        assert_eq!(code(&told), expected, "{what}");
        if expected == Some(Validation) {
            assert_eq!(fields(&error(told)), ["instance"], "{what}");
        }
        let (name, url) = ("Name".into(), String::new());
        let request = PutProjectRequest { instance: instance.clone(), project_id, name, url, version };
        assert_eq!(code(&client.put_project(with(token, request)).await), expected, "{what}");
        let request = DeleteProjectRequest { instance, project_id, version };
        assert_eq!(code(&client.delete_project(with(token, request)).await), expected, "{what}");
    }
    assert_eq!(directory(&fixture, ADMIN).await, named(&[(1, "Name")]));
    assert_eq!(directory(&fixture, STRANGER).await, named(&[(1, "Name")]));
}

#[tokio::test]
async fn mistakes_name_their_field() {
    let fixture = Fixture::start().await;
    let mut client = fixture.instances();
    for (plan, version, expected) in [
        ("", 1, vec!["plan"]),
        ("Business Plus", 1, vec!["plan"]),
        ("business", 0, vec!["version"]),
        ("business\0", -1, vec!["plan", "version"]),
    ] {
        let request = SetPlanRequest { plan: plan.into(), version, ..Default::default() };
        let refused = error(client.set_plan(with(PUBLISHER, request)).await);
        assert_eq!((refused.code, fields(&refused)), (Validation, expected));
    }
    let long = "x".repeat(256);
    let far = format!("https://testmo.example/{}", "x".repeat(2_048));
    for (project_id, name, url, version, expected) in [
        (0, "Name", "", 1, vec!["project_id"]),
        (1, " ", "", 1, vec!["name"]),
        (1, long.as_str(), "", 1, vec!["name"]),
        (1, "a\0b", "", 1, vec!["name"]),
        (1, "Name", "ftp://testmo.example/", 1, vec!["url"]),
        (1, "Name", "javascript:alert(1)", 1, vec!["url"]),
        (1, "Name", far.as_str(), 1, vec!["url"]),
        (-1, "", "x", 0, vec!["project_id", "name", "url", "version"]),
    ] {
        let (name, url) = (name.to_owned(), url.to_owned());
        let request = PutProjectRequest { project_id, name, url, version, ..Default::default() };
        let refused = error(client.put_project(with(PUBLISHER, request)).await);
        assert_eq!((refused.code, fields(&refused)), (Validation, expected));
    }
    let request = DeleteProjectRequest::default();
    let refused = error(client.delete_project(with(PUBLISHER, request)).await);
    assert_eq!((refused.code, fields(&refused)), (Validation, vec!["project_id", "version"]));
    assert_eq!(directory(&fixture, ADMIN).await, []);
}
