//! Logs for people or as JSON, metrics in Prometheus' text format, and the start of it all.

use std::{io::IsTerminal as _, sync::LazyLock};

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use opentelemetry::{global, metrics::Meter};
use prometheus::{Encoder as _, Registry, TextEncoder};
use serde::{Deserialize, Deserializer, de::Error as _};
use tracing::{Level, Metadata};
use tracing_subscriber::{
    EnvFilter, filter::filter_fn, layer::SubscriberExt, registry::LookupSpan, util::SubscriberInitExt as _,
};

use crate::{config::Config, traces};

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, serde::Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

impl<'de> Deserialize<'de> for LogFormat {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "human" => Ok(Self::Human),
            "json" => Ok(Self::Json),
            other => Err(D::Error::custom(format!("must be human or json, not `{other}`"))),
        }
    }
}

/// Libraries that log as errors what the code around them handles and tells. The configured filter wins over this.
const QUIET: &str = "lapin=off,opentelemetry=warn,opentelemetry_sdk=warn";

/// The targets of the product's own crates, which are called what their packages are.
const OWN: [&str; 12] = [
    "broker",
    "cli",
    "database",
    "dispatcher",
    "domain",
    "gateway",
    "history",
    "ingest",
    "payload",
    "proto",
    "runtime",
    "subscription",
];

/// Whether something may be logged however detailed the configured filter is.
///
/// Below `info` libraries print what they handle: HTTP/2 its header fields with tokens and the values of further
/// headers, connections the bytes that they carry, the broker's client its frames with the password. No list of such
/// targets would stay complete, so only the product's own code, which prints no secrets, goes further.
fn may_be_logged(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    let package = target.split("::").next().unwrap_or(target);
    *metadata.level() <= Level::INFO || OWN.contains(&package) || package.starts_with("testmo_")
}

/// Starts logging to standard error, and telling traces of `service`, if that is configured; a second call changes
/// nothing. To be called in the runtime that the program runs in.
///
/// # Errors
/// What is configured and cannot be used; the text names the key and what is wrong.
pub fn init_telemetry(service: &'static str, config: &Config) -> Result<(), String> {
    init_logs(config.log.format, &config.log.filter)?;
    traces::init(service, config)
}

fn init_logs(format: LogFormat, filter: &str) -> Result<(), String> {
    let registry = limited(filter)?;
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        // Nobody reads what cannot be written, and telling it to standard error would panic there.
        .log_internal_errors(false);
    // A test binary may have set its own before.
    let _ = match format {
        LogFormat::Human => registry.with(layer.with_target(false)).try_init(),
        LogFormat::Json => registry.with(layer.json().flatten_event(true)).try_init(),
    };
    Ok(())
}

/// What is logged with the configured filter, yet to be written somewhere.
fn limited(filter: &str) -> Result<impl SubscriberExt + for<'a> LookupSpan<'a> + Send + Sync + use<>, String> {
    let filter = EnvFilter::try_new(format!("{QUIET},{filter}")).map_err(|error| format!("log.filter: {error}"))?;
    Ok(tracing_subscriber::registry().with(filter).with(filter_fn(may_be_logged)))
}

static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
    let registry = Registry::new();
    match opentelemetry_prometheus::exporter().with_registry(registry.clone()).build() {
        Ok(exporter) => {
            let provider = opentelemetry_sdk::metrics::SdkMeterProvider::builder().with_reader(exporter).build();
            global::set_meter_provider(provider);
        }
        Err(error) => tracing::error!(%error, "metrics cannot be exported"),
    }
    registry
});

/// The meter of a service; its instruments show at `/metrics`.
#[must_use]
pub fn metrics(service: &'static str) -> Meter {
    LazyLock::force(&REGISTRY);
    global::meter(service)
}

pub(crate) fn scrape() -> Response {
    let mut text = Vec::new();
    match TextEncoder::new().encode(&REGISTRY.gather(), &mut text) {
        Ok(()) => ([(header::CONTENT_TYPE, TextEncoder::new().format_type().to_owned())], text).into_response(),
        Err(error) => (axum::http::StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs, io,
        sync::{Arc, Mutex, PoisonError},
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn only_own_code_logs_below_info_whatever_the_filter() {
        let written = Written::default();
        let writer = written.clone();
        let layer = tracing_subscriber::fmt::layer().with_writer(move || writer.clone());
        let subscriber = limited("trace,h2=trace,lapin=debug").unwrap().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            tracing::trace!(target: "h2::hpack::decoder", "header fields");
            tracing::debug!(target: "lapin::channel", "a frame");
            tracing::debug!(target: "brokerage", "a name that only begins like one of ours");
            tracing::info!(target: "h2", "told");
            tracing::trace!(target: "subscription::service", "detail");
            tracing::debug!(target: "testmo_webhooks", "the program itself");
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        let told: Vec<_> = ["header fields", "a frame", "a name", "told", "detail", "the program"]
            .into_iter()
            .filter(|part| text.contains(part))
            .collect();
        assert_eq!(told, ["told", "detail", "the program"], "{text}");
    }

    #[test]
    fn all_own_crates_are_known() {
        let crates = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
        let folders = fs::read_dir(crates).unwrap().map(|entry| entry.unwrap().path());
        let mut names: Vec<_> = folders
            .filter(|folder| folder.join("Cargo.toml").is_file())
            .map(|folder| folder.file_name().unwrap().to_string_lossy().replace('-', "_"))
            .collect();
        names.sort();
        assert_eq!(names, OWN);
    }
}
