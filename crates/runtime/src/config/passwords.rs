//! Passwords that stand in files of their own: put into the URLs that they are for.
//!
//! So that an address can be read by everybody who looks at a deployment, and its password only by who uses it.

use std::path::Path;

use super::{Config, ConfigError, SecretUrl};

/// Reads the files that are named.
pub(super) fn read(config: &mut Config) -> Result<(), ConfigError> {
    let (database, broker) = (&mut config.database, &mut config.broker);
    put("database", &mut database.url, database.password_file.as_deref())?;
    put("broker", &mut broker.url, broker.password_file.as_deref())
}

fn put(section: &str, url: &mut Option<SecretUrl>, file: Option<&Path>) -> Result<(), ConfigError> {
    let Some(file) = file else { return Ok(()) };
    let wrong = |text: String| Err(ConfigError::Value(text));
    let Some(bare) = url else {
        return wrong(format!("{section}.password_file must come with {section}.url"));
    };
    if bare.has_password() {
        return wrong(format!(
            "{section}.url must hold no password beside {section}.password_file: leave one of them out"
        ));
    }
    let shown = file.display();
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => return wrong(format!("cannot read {shown} ({section}.password_file): {error}")),
    };
    let password = text.trim_end_matches(['\r', '\n']);
    if password.is_empty() || password.contains(['\r', '\n']) {
        return wrong(format!("{section}.password_file must hold one line, the password; see {shown}"));
    }
    let Some(whole) = bare.with_password(password) else {
        return wrong(format!("{section}.url must name a user and a host for the password of {section}.password_file"));
    };
    *url = Some(whole);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn load(url: &str, password: Option<&str>) -> Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        if let Some(text) = password {
            std::fs::write(&path, text).unwrap();
        }
        let variables = [("BROKER__URL", url.into()), ("BROKER__PASSWORD_FILE", path.into_os_string())];
        let given = variables.into_iter().filter(|(_, value)| !value.is_empty());
        let variables = given.map(|(name, value)| (OsString::from(format!("TESTMO_WEBHOOKS__{name}")), value));
        Config::from_sources(None, variables).map_err(|error| error.to_string())
    }

    #[test]
    fn a_password_of_a_file_is_the_urls_and_does_not_show() {
        let config = load("amqp://ingest@rabbitmq:5672/testmo", Some("p@ss/w:rd%41\n")).unwrap();
        let url = config.broker.url.unwrap();
        assert_eq!(url.reveal(), "amqp://ingest:p%40ss%2Fw%3Ard%2541@rabbitmq:5672/testmo");
        assert_eq!(url.to_string(), "amqp://ingest:…@rabbitmq:5672/testmo");
    }

    #[test]
    fn mistakes_are_named_and_the_password_is_not() {
        for (url, password, expected) in [
            ("", Some("hunter2"), "broker.password_file must come with broker.url"),
            ("amqp://u:hunter2@h/v", Some("hunter2"), "broker.url must hold no password beside broker.password_file"),
            ("amqp://h/v", Some("hunter2"), "broker.url must name a user"),
            ("amqp://u@h/v", Some("\n"), "broker.password_file must hold one line"),
            ("amqp://u@h/v", Some("hunter2\nhunter2"), "broker.password_file must hold one line"),
            ("amqp://u@h/v", None, "(broker.password_file): No such file"),
        ] {
            let error = load(url, password).unwrap_err();
            assert!(error.contains(expected) && !error.contains("hunter2"), "{url} {password:?}: {error}");
        }
    }
}
