//! Rules of webhooks that creating and changing have in common, beside those of [`domain`].

use domain::{FieldError, Scope, WebhookDraft, WebhookSpec};
use proto::error::ApiError;

use super::{Service, unit::Unit};
use crate::{address, failure};

/// Checks the rules that need nothing but the fields; `errors` are mistakes that were found before.
///
/// # Errors
/// All mistakes at once.
pub(crate) fn check(draft: WebhookDraft, errors: Vec<FieldError>) -> Result<WebhookSpec, ApiError> {
    let mut errors = errors;
    match draft.check() {
        Ok(spec) if errors.is_empty() => Ok(spec),
        Ok(_) => Err(faults(errors)),
        Err(more) => {
            errors.extend(more);
            Err(faults(errors))
        }
    }
}

/// Mistakes in fields as callers are told of them.
pub(super) fn faults(errors: Vec<FieldError>) -> ApiError {
    ApiError::fields(errors.into_iter().map(|error| (error.field.to_owned(), error.message)).collect())
}

/// A mistake in one field.
pub(super) fn fault(field: &'static str, message: impl Into<String>) -> ApiError {
    faults(vec![FieldError::new(field, message)])
}

/// What a row holds of the selected events and of the filter.
pub(super) fn texts<T: ToString>(items: impl IntoIterator<Item = T>) -> Vec<String> {
    items.into_iter().map(|item| item.to_string()).collect()
}

impl Service {
    /// Checks where a URL leads. Takes as long as the look-up of its host: no change may be under way.
    ///
    /// # Errors
    /// Where nothing may be sent to.
    pub(super) async fn check_address(&self, url: &url::Url) -> Result<(), ApiError> {
        address::check(&self.policy, &*self.resolver, url).await.map_err(|error| faults(vec![error]))
    }
}

impl Unit {
    /// Checks that no project of a scope that was chosen was deleted.
    ///
    /// # Errors
    /// Names those that were.
    pub(super) async fn check_projects(&mut self, scope: &Scope) -> Result<(), ApiError> {
        let Scope::Projects(projects) = scope else { return Ok(()) };
        let deleted = self.change.deleted_projects(projects).await.map_err(failure::of_store)?;
        if deleted.is_empty() {
            return Ok(());
        }
        Err(fault("projects", format!("must not name deleted projects ({})", texts(deleted).join(", "))))
    }
}
