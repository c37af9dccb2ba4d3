//! The server's part: it says what would change and what is wrong, and makes it so.

use anyhow::anyhow;
use futures::{StreamExt as _, stream};
use http::Method;
use serde_json::Value as Json;

use super::{
    file::Wanted,
    plan::{Change, Existing, Matching, Step},
    yaml::Mistake,
};
use crate::rest::{Rest, refusal};

const WEBHOOKS: &str = "/api/v1/webhooks";
/// So many webhooks are checked at once: the server looks up the host of each.
const CHECKS_UNDER_WAY: usize = 8;

/// Why a request was not done.
#[derive(Debug)]
pub(super) enum Refusal {
    /// Something is wrong with this one; others may fare better.
    One { status: u16, answer: Json },
    /// The server is away, or does not know the caller: no request would fare better.
    All(anyhow::Error),
}

/// What was done.
#[derive(Debug)]
pub(super) enum Done {
    Created { id: i64, secret: String },
    Changed,
    Deleted,
    Nothing,
}

/// The webhooks that the caller may see.
pub(super) async fn list(rest: &Rest) -> anyhow::Result<Vec<Existing>> {
    let items = rest.list(WEBHOOKS).await?;
    let webhooks = items.iter().map(Existing::read).collect::<Option<_>>();
    webhooks.ok_or_else(|| anyhow!("the server lists webhooks without their versions: it is older than this program"))
}

/// Has the server check every webhook, and nothing saved: the steps, or all mistakes that it finds.
pub(super) async fn check<'a>(
    rest: &Rest,
    matching: Matching<'a>,
    prune: bool,
) -> anyhow::Result<Result<Vec<Step<'a>>, Vec<Mistake>>> {
    let checks = matching.wanted.into_iter().map(|(wanted, existing)| check_one(rest, wanted, existing));
    let mut checks = stream::iter(checks).buffered(CHECKS_UNDER_WAY);
    let (mut steps, mut mistakes) = (Vec::new(), Vec::new());
    while let Some(checked) = checks.next().await {
        match checked? {
            Ok(step) => steps.push(step),
            Err(found) => mistakes.extend(found),
        }
    }
    if !mistakes.is_empty() {
        mistakes.sort_by_key(|mistake| mistake.line);
        return Ok(Err(mistakes));
    }
    steps.extend(matching.others.into_iter().map(if prune { Step::Delete } else { Step::Keep }));
    Ok(Ok(steps))
}

async fn check_one<'a>(
    rest: &Rest,
    wanted: &'a Wanted,
    existing: Option<Existing>,
) -> anyhow::Result<Result<Step<'a>, Vec<Mistake>>> {
    let answer = match save(rest, wanted, existing.as_ref(), true).await {
        Ok(answer) => answer,
        Err(Refusal::One { status, answer }) => return Ok(Err(mistakes(wanted, status, &answer))),
        Err(Refusal::All(error)) => return Err(error),
    };
    let texts = answer["result"]["warnings"].as_array().into_iter().flatten();
    let warnings = texts.filter_map(Json::as_str).map(str::to_owned).collect();
    let Some(existing) = existing else {
        // Where the server keeps another name than the file has, the next run would not find the webhook.
        let kept = answer["result"]["name"].as_str().ok_or_else(unexpected)?;
        if kept != wanted.name {
            let text = format!("the server makes `{kept}` of it; write that into the file");
            return Ok(Err(vec![wanted.mistake("name", &text)]));
        }
        return Ok(Ok(Step::Create { wanted, warnings }));
    };
    let changes = Change::read(&answer).ok_or_else(unexpected)?;
    if changes.is_empty() {
        return Ok(Ok(Step::Unchanged(existing)));
    }
    Ok(Ok(Step::Update { wanted, existing, changes, warnings }))
}

fn unexpected() -> anyhow::Error {
    anyhow!("the server's answer lacks what this program needs: it is of another version")
}

/// Makes a step so.
pub(super) async fn carry_out(rest: &Rest, step: &Step<'_>) -> Result<Done, Refusal> {
    match step {
        Step::Create { wanted, .. } => {
            let answer = save(rest, wanted, None, false).await?;
            let created = &answer["result"];
            match (created["id"].as_i64(), created["secret"].as_str()) {
                (Some(id), Some(secret)) => Ok(Done::Created { id, secret: secret.to_owned() }),
                _ => Err(Refusal::All(unexpected())),
            }
        }
        Step::Update { wanted, existing, .. } => {
            save(rest, wanted, Some(existing), false).await?;
            Ok(Done::Changed)
        }
        Step::Delete(existing) => delete(rest, existing).await,
        Step::Unchanged(_) | Step::Keep(_) => Ok(Done::Nothing),
    }
}

/// Creates or changes a webhook, or has that checked only; the server's answer.
async fn save(rest: &Rest, wanted: &Wanted, existing: Option<&Existing>, check: bool) -> Result<Json, Refusal> {
    let mut fields = wanted.fields();
    let (method, path) = match existing {
        Some(existing) => (Method::PATCH, format!("{WEBHOOKS}/{}", existing.id)),
        None => {
            fields.insert("name".to_owned(), Json::from(wanted.name.as_str()));
            (Method::POST, WEBHOOKS.to_owned())
        }
    };
    let good = if check || existing.is_some() { 200 } else { 201 };
    let path = if check { format!("{path}?validate_only=true") } else { path };
    let version = existing.map(|existing| existing.version);
    let answer = rest.send_if(method, &path, Some(&Json::Object(fields)), version).await;
    let (status, answer) = answer.map_err(Refusal::All)?;
    if status == good { Ok(answer) } else { Err(refused(status, answer)) }
}

async fn delete(rest: &Rest, existing: &Existing) -> Result<Done, Refusal> {
    let path = format!("{WEBHOOKS}/{}", existing.id);
    let answer = rest.send_if(Method::DELETE, &path, None, Some(existing.version)).await;
    match answer.map_err(Refusal::All)? {
        // Gone already is what was wanted.
        (204 | 404, _) => Ok(Done::Deleted),
        (status, answer) => Err(refused(status, answer)),
    }
}

/// What an answer that is not the good one means.
fn refused(status: u16, answer: Json) -> Refusal {
    if (400..500).contains(&status) && ![401, 429].contains(&status) {
        return Refusal::One { status, answer };
    }
    Refusal::All(anyhow!("{}", refusal(status, &answer)))
}

/// Why a request about one webhook was refused, in one line.
fn why(status: u16, answer: &Json) -> String {
    match status {
        404 => "somebody else has deleted it meanwhile; run apply again".to_owned(),
        412 => "somebody else has changed it meanwhile; run apply again".to_owned(),
        _ => refusal(status, answer),
    }
}

/// The same as mistakes in the file, each in the line of its field.
fn mistakes(wanted: &Wanted, status: u16, answer: &Json) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    for (field, texts) in answer["errors"].as_object().into_iter().flatten() {
        let texts = texts.as_array().into_iter().flatten().filter_map(Json::as_str);
        mistakes.extend(texts.map(|text| wanted.mistake(field, text)));
    }
    if mistakes.is_empty() {
        mistakes.push(Mistake::new(wanted.line, wanted.conceal(&why(status, answer))));
    }
    mistakes
}

impl Refusal {
    /// Why a step was not done, in one line.
    pub(super) fn text(&self, step: &Step<'_>) -> String {
        match (self, step) {
            (Self::All(error), Step::Create { .. }) => {
                let lost = "if the next run finds it there, its secret is lost: make a new one";
                format!("{}; {lost}", runtime::explain(error.as_ref()))
            }
            (Self::All(error), _) => runtime::explain(error.as_ref()),
            (Self::One { status, answer }, Step::Create { wanted, .. } | Step::Update { wanted, .. }) => {
                let texts = mistakes(wanted, *status, answer).into_iter().map(|mistake| mistake.text);
                texts.collect::<Vec<_>>().join("; ")
            }
            (Self::One { status, answer }, _) => why(*status, answer),
        }
    }
}
