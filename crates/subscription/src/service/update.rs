//! Changing a webhook: what is given replaces what is there, everything else stays as it is at that moment.

use domain::{CustomHeader, FieldError, Identity, InstanceId, MASKED, WebhookDraft, WebhookSpec, host_changed};
use proto::{
    error::{ApiError, ErrorCode},
    v1::{UpdateWebhookRequest, UpdateWebhookResponse, update_webhook_request::Scope as Choice},
};
use url::Url;

use super::{
    Service, answer,
    change_log::{Action, Actor, differences},
    rules::{self, texts},
};
use crate::{
    access,
    credentials::Credentials,
    store::{Reach, SealedWebhook, Webhook},
};

/// How often the address is looked up anew because somebody else has changed it meanwhile.
const ROUNDS: usize = 5;

/// What came of trying.
enum Attempt {
    Done(Box<UpdateWebhookResponse>),
    /// First it must be known that this URL leads where it may.
    Needs(Url),
}

impl Service {
    /// Looks the address up before the change, and merges again if the webhook is another one then: between reading
    /// and writing nobody else changes it, and nobody waits for a look-up.
    pub(super) async fn update(
        &self,
        caller: &Identity,
        request: &UpdateWebhookRequest,
    ) -> Result<UpdateWebhookResponse, ApiError> {
        let reach = access::to_webhooks(caller)?;
        let mut permitted = None;
        for _ in 0..ROUNDS {
            match self.try_update(caller, &reach, request, permitted.as_ref()).await? {
                Attempt::Done(answer) => return Ok(*answer),
                Attempt::Needs(url) => {
                    self.check_address(&url).await?;
                    permitted = Some(url);
                }
            }
        }
        let message = format!("the URL of webhook {} is being changed by others; try again", request.id);
        Err(ApiError::new(ErrorCode::Conflict, message))
    }

    async fn try_update(
        &self,
        caller: &Identity,
        reach: &Reach,
        request: &UpdateWebhookRequest,
        permitted: Option<&Url>,
    ) -> Result<Attempt, ApiError> {
        let mut unit = self.begin(&reach.instance).await?;
        let before = unit.webhook(reach, request.id, request.if_version).await?;
        if let Some(choice) = &request.scope {
            access::to_scope(caller, projects(choice))?;
        }
        let Merged { mut webhook, url, hidden } = self.merge(&reach.instance, &before, request)?;
        if request.scope.is_some() {
            unit.check_projects(&webhook.webhook.scope).await?;
        }
        let elsewhere = leads_elsewhere(&before.webhook, &webhook.webhook);
        if elsewhere && permitted != Some(&url) {
            return Ok(Attempt::Needs(url));
        }
        let actor = Actor::new(caller, self.clock.now());
        if elsewhere {
            webhook.webhook.endpoint_since = actor.at;
        }
        let mut changes = differences(&before.webhook, &webhook.webhook, &hidden);
        if !changes.is_empty() {
            webhook.webhook.updated_at = actor.at;
            if !request.validate_only {
                unit.put(&mut webhook, actor.entry(Action::Updated, &changes)?).await?;
            }
        }
        if let Some(active) = request.active
            && let Some((action, deltas)) = unit.switch(&mut webhook.webhook, active, actor.at)?
        {
            if !request.validate_only {
                unit.put(&mut webhook, actor.entry(action, &deltas)?).await?;
            }
            changes.extend(deltas);
        }
        if !request.validate_only && !changes.is_empty() {
            unit.commit().await?;
        }
        Ok(Attempt::Done(Box::new(UpdateWebhookResponse {
            webhook: Some(answer::webhook(webhook.webhook, actor.at)),
            changes: changes.into_iter().map(Into::into).collect(),
        })))
    }

    fn merge(
        &self,
        instance: &InstanceId,
        before: &SealedWebhook,
        request: &UpdateWebhookRequest,
    ) -> Result<Merged, ApiError> {
        let old = &before.webhook;
        let moved = request.url.as_ref().is_some_and(|url| moves(old, url));
        let mut errors = Vec::new();
        if matches!(request.scope, Some(Choice::AllProjects(false))) {
            errors.push(FieldError::new("all_projects", "must be true or left out; name projects to leave some out"));
        }
        // Only where they are needed: a webhook whose secrets are damaged can still be given another name.
        let kept = if request.headers.is_some() || (moved && !old.headers.is_empty()) {
            Some(self.unseal(instance, before)?)
        } else {
            None
        };
        let headers = kept.as_ref().map(|kept| headers(request, kept, moved, &mut errors)).unwrap_or_default();
        let spec = rules::check(draft(old, request, headers), errors)?;

        let mut webhook = SealedWebhook { webhook: replaced(old, &spec), credentials: before.credentials.clone() };
        if request.scope.is_none() {
            webhook.webhook.scope = old.scope.clone();
        }
        let mut hidden = Vec::new();
        if let Some(mut kept) = kept {
            webhook.webhook.headers = names(&spec.headers);
            if kept.headers != spec.headers {
                hidden.push("headers");
                kept.headers = spec.headers;
                webhook.credentials = self.seal(instance, old.id, &kept)?;
            }
        }
        Ok(Merged { webhook, url: spec.url, hidden })
    }
}

/// A webhook with a patch.
struct Merged {
    webhook: SealedWebhook,
    url: Url,
    /// Fields that have changed in what is not shown of them.
    hidden: Vec<&'static str>,
}

/// The projects of a choice; `None`: all.
fn projects(choice: &Choice) -> Option<&[i64]> {
    match choice {
        Choice::AllProjects(_) => None,
        Choice::Projects(list) => Some(&list.ids),
    }
}

/// Without a choice of projects there is nothing to check: the scope stays, be it empty.
fn draft(old: &Webhook, request: &UpdateWebhookRequest, headers: Vec<CustomHeader>) -> WebhookDraft {
    let given = |given: &Option<String>, old: &String| given.as_ref().unwrap_or(old).clone();
    WebhookDraft {
        name: given(&request.name, &old.name),
        url: given(&request.url, &old.url),
        kind: given(&request.r#type, &old.kind),
        events: request.events.as_ref().map_or_else(|| old.events.clone(), |list| list.events.clone()),
        projects: request.scope.as_ref().and_then(projects).map(<[i64]>::to_vec),
        allow_insecure: request.allow_insecure.unwrap_or(old.allow_insecure),
        send_traceparent: request.send_traceparent.unwrap_or(old.send_traceparent),
        headers,
        filter: request.filter.as_ref().map_or_else(|| old.filter.clone(), |list| list.conditions.clone()),
    }
}

/// What is stored of the fields; headers are not among them.
fn replaced(old: &Webhook, spec: &WebhookSpec) -> Webhook {
    Webhook {
        name: spec.name.clone(),
        url: spec.url.to_string(),
        kind: spec.kind.name().to_owned(),
        events: texts(&spec.events),
        scope: spec.scope.clone(),
        allow_insecure: spec.allow_insecure,
        send_traceparent: spec.send_traceparent,
        filter: texts(spec.filter.texts()),
        ..old.clone()
    }
}

pub(super) fn names(headers: &[CustomHeader]) -> Vec<String> {
    headers.iter().map(|header| header.name.clone()).collect()
}

fn moves(old: &Webhook, url: &str) -> bool {
    matches!((old.url.parse(), url.trim().parse()), (Ok(old), Ok(new)) if host_changed(&old, &new))
}

/// Whether it has another endpoint, whose address must be looked up.
fn leads_elsewhere(before: &Webhook, after: &Webhook) -> bool {
    (&before.url, &before.kind, before.allow_insecure) != (&after.url, &after.kind, after.allow_insecure)
}

/// The headers from now on; a mask stands for the value that is kept. What was given for one receiver is not sent to
/// another.
fn headers(
    request: &UpdateWebhookRequest,
    kept: &Credentials,
    moved: bool,
    errors: &mut Vec<FieldError>,
) -> Vec<CustomHeader> {
    let Some(list) = &request.headers else { return if moved { Vec::new() } else { kept.headers.clone() } };
    let mut headers = Vec::with_capacity(list.headers.len());
    for (place, header) in (1..).zip(&list.headers) {
        if header.value.trim() != MASKED {
            headers.push(CustomHeader { name: header.name.clone(), value: header.value.clone() });
            continue;
        }
        // By its place: what stands in the name may be a value in the wrong field.
        match kept.headers.iter().find(|kept| kept.name.eq_ignore_ascii_case(&header.name)) {
            Some(_) if moved => {
                let message = format!("header {place} needs its value again, because the URL has another host now");
                errors.push(FieldError::new("headers", message));
            }
            Some(kept) => headers.push(kept.clone()),
            None => {
                let message =
                    format!("header {place} has no value so far that {MASKED} could stand for; give its value");
                errors.push(FieldError::new("headers", message));
            }
        }
    }
    headers
}
