//! What Testmo core's messages must be like.

use domain::Plan;
use proto::{
    error::ApiError,
    v1::{DeleteProjectRequest, PutProjectRequest, SetPlanRequest},
};
use url::Url;

use crate::store::{Project, ToldPlan};

const LONGEST_NAME: usize = 255;
const LONGEST_URL: usize = 2_048;

/// The plan of an instance.
///
/// # Errors
/// All mistakes at once.
pub(super) fn plan(request: &SetPlanRequest) -> Result<ToldPlan, ApiError> {
    let mut mistakes = Mistakes::default();
    let plan = request.plan.parse::<Plan>();
    if let Err(error) = &plan {
        mistakes.add("plan", error.to_string());
    }
    mistakes.at_least_one("version", request.version);
    mistakes.end()?;
    Ok(ToldPlan { plan: plan.unwrap_or_default(), version: request.version })
}

/// A project that there is.
///
/// # Errors
/// All mistakes at once.
pub(super) fn project(request: &PutProjectRequest) -> Result<Project, ApiError> {
    let mut mistakes = Mistakes::default();
    mistakes.at_least_one("project_id", request.project_id);
    let name = request.name.trim();
    if name.is_empty() || name.chars().count() > LONGEST_NAME {
        mistakes.add("name", format!("must have 1 to {LONGEST_NAME} characters"));
    }
    if name.chars().any(char::is_control) {
        mistakes.add("name", "must not hold control characters");
    }
    let url = request.url.trim();
    if !url.is_empty() && !is_web_address(url) {
        mistakes.add("url", "must be an http:// or https:// address of at most 2,048 characters, or empty");
    }
    mistakes.at_least_one("version", request.version);
    mistakes.end()?;
    Ok(Project {
        id: request.project_id,
        version: request.version,
        name: name.to_owned(),
        url: url.to_owned(),
        deleted: false,
    })
}

/// A project that is no more. Nothing else is kept of it, so that it does not matter what was told of it before.
///
/// # Errors
/// All mistakes at once.
pub(super) fn deletion(request: &DeleteProjectRequest) -> Result<Project, ApiError> {
    let mut mistakes = Mistakes::default();
    mistakes.at_least_one("project_id", request.project_id);
    mistakes.at_least_one("version", request.version);
    mistakes.end()?;
    let (name, url) = (String::new(), String::new());
    Ok(Project { id: request.project_id, version: request.version, name, url, deleted: true })
}

fn is_web_address(text: &str) -> bool {
    let fits = text.chars().count() <= LONGEST_URL && !text.chars().any(char::is_control);
    fits && Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// Fields, and what is wrong with them.
#[derive(Default)]
struct Mistakes(Vec<(String, String)>);

impl Mistakes {
    fn add(&mut self, field: &str, text: impl Into<String>) {
        self.0.push((field.to_owned(), text.into()));
    }

    fn at_least_one(&mut self, field: &str, number: i64) {
        if number < 1 {
            self.add(field, "must be 1 or more");
        }
    }

    fn end(self) -> Result<(), ApiError> {
        if self.0.is_empty() { Ok(()) } else { Err(ApiError::fields(self.0)) }
    }
}
