//! Who is calling, and what that role may do.

use std::{fmt, str::FromStr};

use crate::{InstanceId, Scope};

/// What a token may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// Everything in the instance.
    SystemAdmin,
    /// Webhooks and history of these projects (ascending).
    ProjectAdmin(Vec<i64>),
    /// Nothing.
    Member,
    /// Publishing events, and telling of plans and projects.
    Publisher,
}

impl Role {
    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::SystemAdmin => "system_admin",
            Self::ProjectAdmin(_) => "project_admin",
            Self::Member => "member",
            Self::Publisher => "publisher",
        }
    }

    /// A role by its name; `projects` count for a project administrator only. `None`: there is no such role.
    #[must_use]
    pub fn from_name(name: &str, mut projects: Vec<i64>) -> Option<Self> {
        projects.sort_unstable();
        projects.dedup();
        match name {
            "system_admin" => Some(Self::SystemAdmin),
            "project_admin" => Some(Self::ProjectAdmin(projects)),
            "member" => Some(Self::Member),
            "publisher" => Some(Self::Publisher),
            _ => None,
        }
    }
}

/// Who a token stands for.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// What it may do.
    pub role: Role,
    /// Where; `None`: in all instances (publishers only).
    pub instance: Option<InstanceId>,
    /// The token's name, for logs.
    pub name: String,
}

impl Identity {
    /// Whether it may see and manage a webhook of its own instance with this scope.
    #[must_use]
    pub fn manages(&self, scope: &Scope) -> bool {
        match (&self.role, scope) {
            (Role::SystemAdmin, _) => true,
            (Role::ProjectAdmin(own), Scope::Projects(wanted)) => {
                !wanted.is_empty() && wanted.iter().all(|project| own.binary_search(project).is_ok())
            }
            _ => false,
        }
    }

    /// Whether it operates the service as a whole. There is no role above an instance yet; the operator owns the instance
    /// `default`, so its system administrators are it.
    #[must_use]
    pub fn is_operator(&self) -> bool {
        self.role == Role::SystemAdmin && self.instance.as_ref() == Some(&InstanceId::default())
    }

    /// The instance that a request is about: the one it names, else the token's, else `default`. `None`: the token is
    /// another instance's, or is for all instances and the request names none.
    #[must_use]
    pub fn instance_for(&self, named: &str) -> Option<InstanceId> {
        match (&self.instance, named) {
            (Some(own), "") => Some(own.clone()),
            (Some(own), named) => (own.as_str() == named).then(|| own.clone()),
            (None, named) => InstanceId::from_str(named).ok(),
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let instance = self.instance.as_ref().map_or("*", InstanceId::as_str);
        write!(formatter, "{}@{instance} ({})", self.role.name(), self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_system_administrators_of_the_default_instance_operate_the_service() {
        let operates = |role: &Role, instance: Option<&str>| {
            let instance = instance.map(|name| name.parse().unwrap());
            Identity { role: role.clone(), instance, name: "test".into() }.is_operator()
        };
        for role in [Role::SystemAdmin, Role::ProjectAdmin(vec![1]), Role::Member, Role::Publisher] {
            let found = [Some("default"), Some("other"), None].map(|instance| operates(&role, instance));
            assert_eq!(found, [role == Role::SystemAdmin, false, false], "{role:?}");
        }
    }
}
