//! The columns of the tables: who calls.

use blackbox::{jwt, product::Product};
use serde_json::{Value, json};

/// How many columns a table has.
pub(super) const CALLERS: usize = 14;

/// Who calls. Roles without an instance in their name are of the instance `default`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// No token at all.
    Nobody,
    /// A token that was never made.
    Unknown,
    /// A system administrator's JWT that has expired.
    Expired,
    /// A system administrator's JWT that somebody else has signed.
    Forged,
    Member,
    Publisher,
    /// A publisher for all instances.
    PublisherOfAll,
    /// A project administrator of 1 and 2.
    Admin12,
    /// The same, by JWT.
    Jwt12,
    /// A project administrator of 3.
    Admin3,
    System,
    /// The same, by JWT.
    SystemJwt,
    /// A system administrator of the instance `other`, by JWT.
    OtherSystem,
    /// A project administrator of 1 and 2 of the instance `other`, by JWT.
    Other12,
}

impl Caller {
    /// In the order of the columns.
    pub(super) const ALL: [Self; CALLERS] = [
        Self::Nobody,
        Self::Unknown,
        Self::Expired,
        Self::Forged,
        Self::Member,
        Self::Publisher,
        Self::PublisherOfAll,
        Self::Admin12,
        Self::Jwt12,
        Self::Admin3,
        Self::System,
        Self::SystemJwt,
        Self::OtherSystem,
        Self::Other12,
    ];

    /// Role, instance (empty: all) and projects of those whose token is valid.
    pub(super) fn identity(self) -> Option<(&'static str, &'static str, &'static [i64])> {
        Some(match self {
            Self::Nobody | Self::Unknown | Self::Expired | Self::Forged => return None,
            Self::Member => ("member", "default", &[]),
            Self::Publisher => ("publisher", "default", &[]),
            Self::PublisherOfAll => ("publisher", "", &[]),
            Self::Admin12 | Self::Jwt12 => ("project_admin", "default", &[1, 2]),
            Self::Admin3 => ("project_admin", "default", &[3]),
            Self::System | Self::SystemJwt => ("system_admin", "default", &[]),
            Self::OtherSystem => ("system_admin", "other", &[]),
            Self::Other12 => ("project_admin", "other", &[1, 2]),
        })
    }

    /// The instance that it belongs to.
    pub(super) fn instance(self) -> Instance {
        match self {
            Self::OtherSystem | Self::Other12 => Instance::Other,
            _ => Instance::Default,
        }
    }
}

/// The two instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Instance {
    Default,
    Other,
}

impl Instance {
    pub(super) const ALL: [Self; 2] = [Self::Default, Self::Other];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Other => "other",
        }
    }

    /// Who may see all of it.
    pub(super) fn admin(self) -> Caller {
        match self {
            Self::Default => Caller::System,
            Self::Other => Caller::OtherSystem,
        }
    }
}

/// The token of every caller.
pub(super) struct Tokens([Option<String>; CALLERS]);

impl Tokens {
    /// Has the administrator make those that are no JWTs.
    pub(super) async fn make(product: &Product, jwt_secret: &str) -> Self {
        let rest = product.admin();
        let make = async |body: Value| Some(make(&rest, body).await.1);
        let signed = |role: &str, instance: &str, projects: &[i64]| {
            Some(jwt::hs256(jwt_secret, &claims(role, instance, projects, 3_600)))
        };
        let forged =
            jwt::hs256("the secret of somebody else, long enough", &claims("system_admin", "default", &[], 60));
        Self([
            None,
            Some("tmwh_0000000000000000000000000000000000000000".to_owned()),
            Some(jwt::hs256(jwt_secret, &claims("system_admin", "default", &[], -3_600))),
            Some(forged),
            make(json!({"name": "member", "role": "member"})).await,
            Some(product.publisher_token().to_owned()),
            make(json!({"name": "core", "role": "publisher", "all_instances": true})).await,
            make(json!({"name": "admin of 1, 2", "role": "project_admin", "projects": [1, 2]})).await,
            signed("project_admin", "default", &[1, 2]),
            make(json!({"name": "admin of 3", "role": "project_admin", "projects": [3]})).await,
            Some(product.admin_token().to_owned()),
            signed("system_admin", "default", &[]),
            signed("system_admin", "other", &[]),
            signed("project_admin", "other", &[1, 2]),
        ])
    }

    pub(super) fn of(&self, caller: Caller) -> Option<&str> {
        self.0[caller as usize].as_deref()
    }
}

/// The claims of a token that expires in so many seconds.
pub(super) fn claims(role: &str, instance: &str, projects: &[i64], seconds: i64) -> Value {
    let mut claims =
        json!({"sub": "ada@acme.example", "instance": instance, "role": role, "exp": jwt::in_seconds(seconds)});
    if !projects.is_empty() {
        claims["projects"] = json!(projects);
    }
    claims
}

/// Makes a token; its id and text.
pub(super) async fn make(rest: &blackbox::rest::Rest, body: Value) -> (i64, String) {
    let made = rest.post("/api/v1/tokens", body).await.expect(201);
    let text = made["token"].as_str().unwrap_or_else(|| panic!("no text in {made}")).to_owned();
    (made["id"].as_i64().unwrap_or_else(|| panic!("no id in {made}")), text)
}
