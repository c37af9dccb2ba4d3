//! `config`: what is in force.

use std::process::ExitCode;

use anyhow::Context as _;
use runtime::config::Config;
use serde_json::Value;

use crate::out::say;

/// Prints the configuration as TOML; passwords are masked, keys that are not set are comments.
pub(crate) fn print(config: &Config) -> anyhow::Result<ExitCode> {
    let sections = serde_json::to_value(config).context("the configuration cannot be shown")?;
    for (section, values) in sections.as_object().into_iter().flatten() {
        say!("[{section}]")?;
        for (key, value) in values.as_object().into_iter().flatten() {
            // Strings, numbers, booleans and lists of strings are written alike in JSON and TOML.
            match value {
                Value::Null => say!("# {key} is not set")?,
                value => say!("{key} = {value}")?,
            }
        }
        say!()?;
    }
    Ok(ExitCode::SUCCESS)
}
