//! What a JWT says.

use std::time::Duration;

use domain::{Identity, InstanceId, Role, Timestamp};
use serde::{Deserialize, Deserializer, de::Error as _};

use super::{JwtError, Verified};

/// How far the clock of who signs may be ahead. Its expiry is taken as it stands.
const LEEWAY: Duration = Duration::from_secs(30);
/// Characters of a name, at most.
const MOST_CHARACTERS: usize = 255;
/// Who it was if the token does not say.
const NAMELESS: &str = "Testmo core";

/// Unknown claims are ignored; a known one that stands there twice, or is `null`, is an error.
#[derive(Deserialize)]
pub(super) struct Claims {
    #[serde(default, deserialize_with = "given")]
    instance: Option<String>,
    role: String,
    #[serde(default)]
    projects: Vec<i64>,
    exp: NumericDate,
    #[serde(default, deserialize_with = "given")]
    nbf: Option<NumericDate>,
    #[serde(default, deserialize_with = "given")]
    iat: Option<NumericDate>,
    #[serde(default, deserialize_with = "given")]
    iss: Option<String>,
    #[serde(default, deserialize_with = "given")]
    aud: Option<Audience>,
    #[serde(default, deserialize_with = "given")]
    sub: Option<String>,
    #[serde(default, deserialize_with = "given")]
    name: Option<String>,
}

fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    fn names(&self, wanted: &str) -> bool {
        match self {
            Self::One(name) => name == wanted,
            Self::Several(names) => names.iter().any(|name| name == wanted),
        }
    }
}

/// Seconds since the Unix epoch, maybe with a fraction.
#[derive(Clone, Copy)]
struct NumericDate(Timestamp);

impl<'de> Deserialize<'de> for NumericDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let micros = f64::deserialize(deserializer)? * 1e6;
        if !micros.is_finite() {
            return Err(D::Error::custom("a time must be a number of seconds"));
        }
        // What lies beyond the ends of time becomes them.
        Ok(Self(Timestamp::from_micros(micros as i64)))
    }
}

impl Claims {
    pub(super) fn parse(json: &[u8]) -> Result<Self, JwtError> {
        serde_json::from_slice(json).map_err(|error| {
            // The library's text may repeat a value.
            let reason = match error.classify() {
                serde_json::error::Category::Data => "role and exp are required, and each claim must have its type",
                _ => "they are not a JSON object",
            };
            claims(reason)
        })
    }

    pub(super) fn check_parties(&self, issuer: Option<&str>, audience: Option<&str>) -> Result<(), JwtError> {
        if issuer.is_some() && self.iss.as_deref() != issuer {
            return Err(claims("iss must be the issuer in auth.jwt_issuer"));
        }
        match (&self.aud, audience) {
            (None, None) => Ok(()),
            (Some(named), Some(own)) if named.names(own) => Ok(()),
            (_, Some(_)) => Err(claims("aud must name the audience in auth.jwt_audience")),
            (Some(_), None) => Err(claims("aud names an audience, and auth.jwt_audience is not set")),
        }
    }

    pub(super) fn check_times(&self, now: Timestamp) -> Result<(), JwtError> {
        if now >= self.exp.0 {
            return Err(JwtError::Expired);
        }
        let begins = [self.nbf, self.iat];
        if begins.iter().flatten().any(|begin| begin.0 > now.plus(LEEWAY)) {
            return Err(JwtError::NotYet);
        }
        Ok(())
    }

    pub(super) fn verified(self) -> Result<Verified, JwtError> {
        let instance = match self.instance.as_deref() {
            None => InstanceId::default(),
            Some(name) => name.parse().map_err(|_| claims("instance must be the name of an instance"))?,
        };
        if self.projects.iter().any(|project| *project < 1) {
            return Err(claims("projects must be project ids, which start at 1"));
        }
        let unnamed = self.projects.is_empty();
        let role = Role::from_name(&self.role, self.projects)
            .ok_or_else(|| claims("role must be one of system_admin, project_admin, member, publisher"))?;
        match role {
            Role::ProjectAdmin(_) if unnamed => {
                return Err(claims("projects must name at least one project for a project_admin"));
            }
            Role::SystemAdmin | Role::Member | Role::Publisher if !unnamed => {
                return Err(claims("projects must be empty or absent for roles other than project_admin"));
            }
            _ => {}
        }
        let name = self.name.or(self.sub).unwrap_or_else(|| NAMELESS.to_owned());
        let name = name.trim();
        if name.is_empty() || name.chars().count() > MOST_CHARACTERS || name.chars().any(char::is_control) {
            return Err(claims("name and sub must have 1 to 255 characters, none of them a control character"));
        }
        let identity = Identity { role, instance: Some(instance), name: name.to_owned() };
        Ok(Verified { identity, expires_at: self.exp.0 })
    }
}

const fn claims(reason: &'static str) -> JwtError {
    JwtError::Claims(reason)
}
