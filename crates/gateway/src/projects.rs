//! `/projects`: the names of projects, as Testmo core has told them.

use axum::{Json, extract::State};
use proto::v1;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    Services,
    caller::{Caller, answer},
    error::Failure,
    openapi::{Operation, Route, Tag, schema},
    page::{Page, some_text},
    query::Query,
};

/// A project.
#[derive(Serialize)]
pub(crate) struct ProjectJson {
    id: i64,
    name: String,
    /// Null: Testmo core has told none.
    url: Option<String>,
}

impl From<v1::Project> for ProjectJson {
    fn from(project: v1::Project) -> Self {
        Self { id: project.id, name: project.name, url: some_text(project.url) }
    }
}

/// `GET /projects`
async fn list(
    State(services): State<Services>,
    caller: Caller,
    query: Query,
) -> Result<Json<Page<ProjectJson>>, Failure> {
    let query = query.page()?;
    let request = v1::ListProjectsRequest { page: query.page, per_page: query.per_page };
    let found = answer(services.webhooks().list_projects(caller.request(request))).await?;
    Ok(Json(Page::new(query, found.total, found.projects.into_iter().map(ProjectJson::from).collect())))
}

pub(crate) fn routes() -> Vec<Route> {
    let operation = Operation::new(Tag::Projects, "listProjects", "List projects")
        .describe(
            "The projects that Testmo core has told of, by name: all of the instance for a `system_admin`, its own for \
             a `project_admin`.",
        )
        .answers_page(
            "ProjectListed",
            json!([{"id": 1, "name": "Webshop", "url": "https://acme.testmo.net/projects/view/1"}]),
        );
    vec![Route::get("/projects", list, operation)]
}

pub(crate) fn schemas() -> Vec<(&'static str, Value)> {
    let project = schema::object([
        ("id", schema::id("Its id.")),
        ("name", schema::text("Its name.")),
        ("url", schema::or_null(schema::uri("Its address in Testmo; null where Testmo core has told none."))),
    ]);
    vec![("ProjectListed", schema::described(project, "A project of the directory."))]
}
