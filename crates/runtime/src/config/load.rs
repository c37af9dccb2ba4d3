//! Reading the sources: defaults, then the file, then the environment. A key that nobody knows is an error.

use std::{ffi::OsString, path::Path};

use config::{Config as Layers, ConfigError as LayerError, File, FileFormat, Map, Value, ValueKind};

use super::{Config, check::check, passwords};

/// Environment variables of this prefix are configuration: `TESTMO_WEBHOOKS__SECTION__KEY`.
pub const ENV_PREFIX: &str = "TESTMO_WEBHOOKS__";

/// Configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read, or is not TOML.
    #[error("cannot read configuration file {path}: {reason}")]
    File {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A key that is not in the schema.
    #[error("unknown configuration key `{key}` in {origin}; {hint}")]
    UnknownKey {
        /// The key.
        key: String,
        /// File or environment variable.
        origin: String,
        /// The keys that could be meant.
        hint: String,
    },
    /// A value of the wrong form.
    #[error("configuration: {0}")]
    Value(String),
    /// A key without which the program cannot run.
    #[error("configuration key `{key}` is required here; set it in the file or as {}", variable(.key))]
    Missing {
        /// The key.
        key: &'static str,
    },
}

fn variable(key: &str) -> String {
    format!("{ENV_PREFIX}{}", key.to_uppercase().replace('.', "__"))
}

impl Config {
    /// Reads `file`, if one is named, and the environment.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        Self::from_sources(file, std::env::vars_os())
    }

    /// Reads `file`, if one is named, and these environment variables.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn from_sources(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let schema = Schema::new()?;
        let mut layers = Layers::builder();
        if let Some(path) = file {
            layers = layers.add_source(schema.read_file(path)?);
        }
        for (name, text) in environment {
            // The variables of others are none of our business, whatever they hold.
            if !name.as_encoded_bytes().starts_with(ENV_PREFIX.as_bytes()) {
                continue;
            }
            let name = name.to_string_lossy();
            let key = name[ENV_PREFIX.len()..].to_lowercase().replace("__", ".");
            let text = text.to_str().ok_or_else(|| ConfigError::Value(format!("{name} must be UTF-8")))?;
            let value = schema.parse(&key, &name, text)?;
            layers = layers.set_override(key, value).map_err(|error| wrong_value(&error))?;
        }
        let merged = layers.build().map_err(|error| wrong_value(&error))?;
        let mut config = merged.try_deserialize().map_err(|error| wrong_value(&error))?;
        check(&config)?;
        passwords::read(&mut config)?;
        Ok(config)
    }
}

/// With the key before what is wrong with its value.
fn wrong_value(error: &LayerError) -> ConfigError {
    let LayerError::At { error: reason, key: Some(key), .. } = error else {
        return ConfigError::Value(error.to_string());
    };
    let reason = reason.to_string();
    ConfigError::Value(if reason.starts_with("must ") { format!("{key} {reason}") } else { format!("{key}: {reason}") })
}

/// Where a file is no TOML, and why, without the lines that the library quotes: they may hold a password.
fn unquoted(error: &LayerError) -> String {
    let text = error.to_string();
    let quotes =
        |line: &str| line.trim_start_matches(|letter: char| letter.is_ascii_digit() || letter == ' ').starts_with('|');
    let told: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty() && !quotes(line)).collect();
    told.join(": ")
}

/// The known keys, each with its default value, whose type tells how text is read.
struct Schema(Vec<(String, serde_json::Value)>);

impl Schema {
    fn new() -> Result<Self, ConfigError> {
        let defaults =
            serde_json::to_value(Config::default()).map_err(|error| ConfigError::Value(error.to_string()))?;
        let mut keys = Vec::new();
        for (section, values) in defaults.as_object().into_iter().flatten() {
            for (key, value) in values.as_object().into_iter().flatten() {
                keys.push((format!("{section}.{key}"), value.clone()));
            }
        }
        Ok(Self(keys))
    }

    fn default_of(&self, key: &str, origin: &str) -> Result<&serde_json::Value, ConfigError> {
        let found = self.0.iter().find(|(known, _)| known == key).map(|(_, value)| value);
        found.ok_or_else(|| ConfigError::UnknownKey {
            key: key.to_owned(),
            origin: origin.to_owned(),
            hint: self.hint(key),
        })
    }

    fn hint(&self, key: &str) -> String {
        let section = key.split('.').next().unwrap_or_default();
        let keys = |wanted: &dyn Fn(&str) -> bool| {
            let names: Vec<&str> =
                self.0.iter().map(|(known, _)| known.as_str()).filter(|known| wanted(known)).collect();
            names.join(", ")
        };
        let near = keys(&|known| known.split('.').next() == Some(section));
        let known = if near.is_empty() { keys(&|_| true) } else { near };
        format!("known keys are {known}")
    }

    /// Strings are taken as they are, everything else is a TOML literal.
    fn parse(&self, key: &str, origin: &str, text: &str) -> Result<Value, ConfigError> {
        let default = self.default_of(key, origin)?;
        if default.is_string() || default.is_null() {
            return Ok(Value::new(None, ValueKind::String(text.to_owned())));
        }
        let wrong = || ConfigError::Value(format!("{origin}: `{text}` is not a TOML literal such as {default}"));
        let source = File::from_str(&format!("value = {text}"), FileFormat::Toml);
        let parsed = Layers::builder().add_source(source).build().map_err(|_| wrong())?;
        parsed.get::<Value>("value").map_err(|_| wrong())
    }

    fn read_file(&self, path: &Path) -> Result<File<config::FileSourceString, FileFormat>, ConfigError> {
        let shown = path.display().to_string();
        let wrong = |reason: String| ConfigError::File { path: shown.clone(), reason };
        let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        let source = File::from_str(&text, FileFormat::Toml);
        let tree = Layers::builder().add_source(source.clone()).build().map_err(|error| wrong(unquoted(&error)))?;
        let root: Map<String, Value> = tree.try_deserialize().map_err(|error| wrong(unquoted(&error)))?;
        for (section, value) in root {
            let Ok(values) = value.into_table() else {
                return self.default_of(&section, &shown).map(|_| source);
            };
            for key in values.keys() {
                self.default_of(&format!("{section}.{key}"), &shown)?;
            }
        }
        Ok(source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Period;

    fn load(file: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("webhooks.toml");
        std::fs::write(&path, file).unwrap();
        let variables = environment.iter().map(|(name, text)| (format!("{ENV_PREFIX}{name}").into(), text.into()));
        Config::from_sources(Some(&path), variables).map_err(|error| error.to_string())
    }

    #[test]
    fn the_environment_wins_over_the_file_and_the_file_over_defaults() {
        let config = load(
            "[delivery]\ntimeout = \"3s\"\nretry_schedule = [\"0s\", \"1s\"]\n[data]\ndir = \"/var/lib/x\"",
            &[
                ("DELIVERY__TIMEOUT", "4s"),
                ("DELIVERY__ALLOW_NETWORKS", r#"["127.0.0.0/8", "::1"]"#),
                ("DELIVERY__MAX_IN_FLIGHT", "9"),
                ("PUBLISHING__EVENTS_PER_SECOND", "0"),
                ("PUBLISHING__BURST", "0"),
                ("SERVICES__ALLOW_PLAINTEXT", "true"),
                ("DATABASE__URL", "postgres://u:007@h/d"),
                ("HTTP__LISTEN", "0.0.0.0:80"),
            ],
        )
        .unwrap();
        assert_eq!(config.delivery.timeout, Period::from_secs(4));
        assert_eq!(config.delivery.allow_networks.len(), 2);
        assert_eq!(config.delivery.max_in_flight, 9);
        assert_eq!(config.delivery.retry_schedule.0.waits().len(), 2);
        assert_eq!((config.publishing.events_per_second, config.publishing.burst), (0, 0));
        assert!(config.services.allow_plaintext);
        assert_eq!(config.database.url.unwrap().reveal(), "postgres://u:007@h/d");
        assert_eq!(config.http.listen.port(), 80);
        assert_eq!(config.data.dir, Path::new("/var/lib/x"));
        assert_eq!(config.admin.listen.port(), 9090);
    }

    #[test]
    fn every_key_is_documented_with_its_default_and_nothing_else_is() {
        let page = include_str!("../../../../docs/configuration.md");
        let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
        let rows = rows.filter(|(key, _)| key.contains('.'));
        let documented: Vec<(&str, &str)> =
            rows.map(|(key, rest)| (key, rest.split(" | ").next().unwrap_or_default())).collect();
        let shown = |value: &serde_json::Value| match value {
            serde_json::Value::Null => "–".to_owned(),
            serde_json::Value::String(text) => format!("`{text}`"),
            other => format!("`{}`", other.to_string().replace(',', ", ")),
        };
        let known: Vec<(String, String)> =
            Schema::new().unwrap().0.into_iter().map(|(key, value)| (key, shown(&value))).collect();
        for (key, default) in &known {
            assert!(documented.contains(&(key, default)), "{key} with {default} is not in docs/configuration.md");
        }
        assert_eq!(documented.len(), known.len(), "docs/configuration.md has what is no key");
    }

    #[test]
    fn mistakes_name_the_key_and_the_source() {
        for (file, environment, expected) in [
            ("[delivery]\ntimeuot = \"3s\"", &[][..], "unknown configuration key `delivery.timeuot` in"),
            ("delivery = 1", &[], "unknown configuration key `delivery`"),
            ("[nonsense]\nx = 1", &[], "unknown configuration key `nonsense.x`"),
            ("", &[("DELIVERY__TIMEUOT", "3s")], "TESTMO_WEBHOOKS__DELIVERY__TIMEUOT"),
            ("", &[("DELIVERY__TIMEOUT", "3")], "such as 500ms, 10s"),
            ("", &[("DELIVERY__RETRY_SCHEDULE", "0s,1s")], "TOML literal"),
            ("", &[("DELIVERY__ALLOW_NETWORKS", "[\"10.0.0.0/99\"]")], "is not a network"),
            ("[http]\nlisten = \"nowhere\"", &[], "http.listen"),
            ("[http", &[], "cannot read configuration file"),
            ("", &[("LOG__FORMAT", "xml")], "log.format must be human or json, not `xml`"),
            ("", &[("DELIVERY__TIMEOUT", "0s")], "delivery.timeout must be longer than 0s, such as 10s"),
            ("[delivery]\nconnect_timeout = \"0ms\"", &[], "delivery.connect_timeout must be longer than 0s"),
            (
                "",
                &[("DELIVERY__DEACTIVATE_AFTER", "145h")],
                "delivery.deactivate_after must be at most 144h, such as 120h: history may keep attempts for no longer",
            ),
            ("", &[("DELIVERY__MAX_IN_FLIGHT", "0")], "delivery.max_in_flight must be at least 1, such as 512"),
            (
                "[publishing]\nburst = 0",
                &[],
                "publishing.burst must be at least 1, such as 20000; to switch the quota off",
            ),
            ("", &[("PUBLISHING__EVENTS_PER_SECOND", "-1")], "publishing.events_per_second"),
            ("", &[("PUBLISHING__BURST", "4294967296")], "publishing.burst"),
            ("", &[("PUBLISHING__EVENTS_PER_SECOND", "many")], "TOML literal such as 5000"),
            ("", &[("DATABASE__URL", "mysql://h/d")], "database.url must look like postgres://"),
            ("", &[("BROKER__URL", "http://h")], "broker.url must look like amqp://"),
            ("", &[("BROKER__URL", "nothing")], "broker.url must be a URL"),
            ("[auth]\njwt_issuer = \"core\"", &[], "auth.jwt_issuer must come with auth.jwt_key_file"),
            ("", &[("AUTH__JWT_AUDIENCE", "webhooks")], "auth.jwt_audience must come with auth.jwt_key_file"),
        ] {
            let error = load(file, environment).unwrap_err();
            assert!(error.contains(expected), "{file} {environment:?}: {error}");
        }
        let missing = Config::require("database.url", None::<&String>).unwrap_err().to_string();
        assert!(missing.contains("TESTMO_WEBHOOKS__DATABASE__URL"), "{missing}");
    }

    #[test]
    fn passwords_are_not_repeated_in_errors() {
        for (file, environment) in [
            ("", &[("DATABASE__URL", "postgres://u:hunter2@h:port/d")][..]),
            ("", &[("DATABASE__URL", "postgres:u:hunter2@h/d")]),
            ("", &[("DATABASE__URL", "mysql://u:hunter2@h/d")]),
            ("[database]\nurl = \"postgres://u:hunter2@h/d", &[]),
            ("[database]\nurl = 'postgres://u:hunter2@h/d' x", &[]),
            ("[database]\nurl = [\"postgres://u:hunter2@h/d\"]", &[]),
            ("database = \"postgres://u:hunter2@h/d\"", &[]),
        ] {
            let error = load(file, environment).unwrap_err();
            assert!(error.contains("database") || error.contains("line 2"), "{file}: {error}");
            assert!(!error.contains("hunter2") && !error.contains('\n'), "{file}: {error}");
        }
    }

    #[test]
    fn only_own_variables_must_be_text() {
        use std::os::unix::ffi::OsStringExt as _;

        let load = |name: &[u8], text: &[u8]| {
            let variable = (OsString::from_vec(name.to_vec()), OsString::from_vec(text.to_vec()));
            Config::from_sources(None, [variable]).map_err(|error| error.to_string())
        };
        assert!(load(b"SOMEBODY_ELSES", b"\xff").is_ok());
        assert!(load(b"SOMEBODY_ELSES\xff", b"").is_ok());
        assert!(
            load(b"TESTMO_WEBHOOKS__DATABASE__URL", b"\xff").unwrap_err().contains("__DATABASE__URL must be UTF-8")
        );
        assert!(load(b"TESTMO_WEBHOOKS__\xff", b"").unwrap_err().contains("unknown configuration key"));
    }
}
