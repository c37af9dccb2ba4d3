//! The configuration of a program under test, given to it by environment.

use std::{collections::BTreeMap, process::Command};

/// Keys such as `delivery.timeout` with their values.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    values: BTreeMap<String, String>,
    /// Not to be given although the harness would.
    unset: Vec<String>,
    /// Environment variables beside the configuration.
    environment: BTreeMap<&'static str, String>,
}

impl Settings {
    /// Receivers on loopback are allowed, and retries come within seconds.
    #[must_use]
    pub(super) fn for_tests() -> Self {
        let mut settings = Self::default();
        settings.set("delivery.allow_networks", r#"["127.0.0.0/8"]"#);
        settings.set("delivery.timeout", "5s");
        settings.set("delivery.retry_schedule", r#"["0s","1s","2s"]"#);
        settings
    }

    /// Gives `key` a value.
    pub fn set(&mut self, key: &str, value: &str) {
        self.values.insert(key.to_owned(), value.to_owned());
    }

    /// Gives the program an environment variable that is no configuration.
    pub(super) fn set_environment(&mut self, name: &'static str, value: String) {
        self.environment.insert(name, value);
    }

    /// Whether the test has decided about `key`.
    pub(super) fn has(&self, key: &str) -> bool {
        self.values.contains_key(key) || self.unset.iter().any(|name| name == key)
    }

    /// What `key` is given.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// Leaves `key` to the product's default.
    pub fn unset(&mut self, key: &str) {
        self.values.remove(key);
        self.unset.push(key.to_owned());
    }

    /// Gives `key` a value unless the test has decided about it.
    pub(super) fn set_default(&mut self, key: &str, value: &str) {
        if !self.has(key) {
            self.values.insert(key.to_owned(), value.to_owned());
        }
    }

    pub(super) fn apply(&self, command: &mut Command) {
        command.envs(&self.environment);
        for (key, value) in &self.values {
            command.env(format!("TESTMO_WEBHOOKS__{}", key.to_uppercase().replace('.', "__")), value);
        }
    }
}
