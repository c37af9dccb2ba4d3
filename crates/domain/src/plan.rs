//! What an instance has paid for, as far as it matters here: whether it has webhooks.

use std::{fmt, str::FromStr};

/// Name of a plan: 1 to 50 characters of `a-z`, `0-9`, `-` and `_`. Plans come and go in Testmo core, so any name is
/// one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Plan(String);

/// Text that names no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 50 characters of a-z, 0-9, - and _, such as `business`")]
pub struct InvalidPlan;

impl Plan {
    /// The plans with webhooks.
    pub const WITH_WEBHOOKS: [&'static str; 2] = ["business", "enterprise"];

    /// The plan of an instance whose plan nobody has told.
    pub const UNTOLD: &'static str = "enterprise";

    /// Its name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether instances with it may have active webhooks.
    #[must_use]
    pub fn allows_webhooks(&self) -> bool {
        Self::WITH_WEBHOOKS.contains(&self.as_str())
    }
}

impl Default for Plan {
    fn default() -> Self {
        Self(Self::UNTOLD.to_owned())
    }
}

impl FromStr for Plan {
    type Err = InvalidPlan;

    fn from_str(text: &str) -> Result<Self, InvalidPlan> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
        if (1..=50).contains(&text.len()) && text.bytes().all(fits) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidPlan)
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_plans_have_webhooks() {
        for (name, expected) in
            [("business", true), ("enterprise", true), ("team", false), ("business-trial", false), ("free_2", false)]
        {
            let plan: Plan = name.parse().unwrap();
            assert_eq!(plan.allows_webhooks(), expected, "{name}");
            assert_eq!(plan.to_string(), name);
        }
        assert!(Plan::default().allows_webhooks());
        assert_eq!(Plan::default().as_str(), "enterprise");
    }

    #[test]
    fn names_are_checked() {
        let long = "x".repeat(51);
        for bad in ["", "Business", "business ", "plän", long.as_str()] {
            assert_eq!(bad.parse::<Plan>(), Err(InvalidPlan), "{bad}");
        }
        assert!("x".repeat(50).parse::<Plan>().is_ok());
    }
}
