//! What both adapters do alike: bringing the schema up to date or refusing to, and reading what is in a row.

use database::SchemaError;
use domain::{InstanceId, Role, Scope};

use super::{OpenError, StoreError, ToldPlan};

/// Whether a code of the database says that the same call may succeed later. PostgreSQL: connection lost (08), conflict
/// or deadlock (40), out of resources (53), ended by an operator or a time-out (57). SQLite: locked (5, 6), disk full
/// (13).
pub(super) fn is_passing(code: &str) -> bool {
    match code.parse::<u32>() {
        // SQLSTATEs have five characters; SQLite's codes have the primary one in the last byte.
        Ok(number) if code.len() < 5 => matches!(number & 0xff, 5 | 6 | 13),
        _ => ["08", "40", "53", "57"].iter().any(|class| code.starts_with(class)),
    }
}

/// Where a store is, for errors.
pub(super) struct Place {
    /// Without a password.
    pub(super) address: String,
    /// The setting that says so.
    pub(super) setting: &'static str,
}

impl Place {
    /// It cannot be reached or used.
    pub(super) fn unreachable(&self, source: sqlx::Error) -> OpenError {
        OpenError::Unreachable { address: self.address.clone(), setting: self.setting, source }
    }

    /// Its schema cannot be worked with.
    pub(super) fn unfit(&self, source: SchemaError) -> OpenError {
        let (address, setting) = (self.address.clone(), self.setting);
        match source {
            SchemaError::Read(source) => OpenError::Unreachable { address, setting, source },
            SchemaError::Migration(source) => OpenError::Migration { address, setting, source },
            source => OpenError::Schema { address, source },
        }
    }
}

/// The instance in a row; `what` names the row.
pub(super) fn instance(what: &str, text: &str) -> Result<InstanceId, StoreError> {
    text.parse().map_err(|error: domain::InvalidInstance| damaged(what, error.to_string()))
}

/// The role in a row; `what` names the row.
pub(super) fn role(what: &str, name: &str, projects: Vec<i64>) -> Result<Role, StoreError> {
    Role::from_name(name, projects).ok_or_else(|| damaged(what, format!("there is no role `{name}`")))
}

/// The plan in the row of an instance.
pub(super) fn told_plan(
    instance: &InstanceId,
    plan: Option<&str>,
    version: i64,
) -> Result<Option<ToldPlan>, StoreError> {
    let Some(plan) = plan else { return Ok(None) };
    let plan = plan
        .parse()
        .map_err(|error: domain::InvalidPlan| damaged(&format!("instance {instance}"), error.to_string()))?;
    Ok(Some(ToldPlan { plan, version }))
}

/// The scope in a row.
pub(super) fn scope(projects: Option<Vec<i64>>) -> Scope {
    projects.map_or(Scope::All, Scope::Projects)
}

/// What a row holds of a scope.
pub(super) fn projects_of(scope: &Scope) -> Option<&[i64]> {
    match scope {
        Scope::All => None,
        Scope::Projects(projects) => Some(projects),
    }
}

/// What a row holds of a role beside its name.
pub(super) fn projects_of_role(role: &Role) -> &[i64] {
    match role {
        Role::ProjectAdmin(projects) => projects,
        Role::SystemAdmin | Role::Member | Role::Publisher => &[],
    }
}

/// A row that cannot be read.
pub(super) fn damaged(what: &str, reason: String) -> StoreError {
    StoreError::Damaged { what: what.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_told_from_what_stays() {
        for (code, passing) in
            [("08006", true), ("40P01", true), ("53300", true), ("57014", true), ("23505", false), ("42P01", false)]
        {
            assert_eq!(is_passing(code), passing, "{code}");
        }
        for (code, passing) in [("5", true), ("517", true), ("13", true), ("2067", false), ("1", false)] {
            assert_eq!(is_passing(code), passing, "{code}");
        }
    }
}
