//! Why an inactive webhook does not get an event that it would get otherwise.

use crate::inactive;

/// Why events are skipped. What is not known here counts as [`SkipReason::Inactive`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SkipReason {
    /// An operator deactivated the webhook.
    Inactive,
    /// The plan of the instance has lost webhooks.
    Plan,
    /// The last project of the webhook was deleted.
    ProjectDeleted,
    /// The endpoint kept failing.
    Failing,
}

impl SkipReason {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Inactive, Self::Plan, Self::ProjectDeleted, Self::Failing];

    /// From what the subscription service says of an inactive webhook (`inactive_reason`); empty: an operator did it.
    #[must_use]
    pub fn of(inactive_reason: &str) -> Self {
        match inactive::code(inactive_reason) {
            inactive::PLAN_DOWNGRADED => Self::Plan,
            inactive::PROJECTS_DELETED => Self::ProjectDeleted,
            inactive::ENDPOINT_FAILING => Self::Failing,
            _ => Self::Inactive,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_reason_counts_as_inactive() {
        let reasons =
            ["", "plan_downgraded", "projects_deleted", "endpoint_failing: no attempt …", "of a later version"];
        let expected = [
            SkipReason::Inactive,
            SkipReason::Plan,
            SkipReason::ProjectDeleted,
            SkipReason::Failing,
            SkipReason::Inactive,
        ];
        assert_eq!(reasons.map(SkipReason::of), expected);
    }
}
