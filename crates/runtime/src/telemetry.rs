//! Logs for people or as JSON, and metrics in Prometheus' text format.

use std::{io::IsTerminal as _, sync::LazyLock};

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use opentelemetry::{global, metrics::Meter};
use prometheus::{Encoder as _, Registry, TextEncoder};
use serde::{Deserialize, Deserializer, de::Error as _};
use tracing_subscriber::{EnvFilter, layer::SubscriberExt as _, util::SubscriberInitExt as _};

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

/// Starts logging to standard error; a second call changes nothing.
///
/// # Errors
/// A filter that cannot be read; the text names what is wrong with it.
pub fn init_logs(format: LogFormat, filter: &str) -> Result<(), String> {
    let filter = EnvFilter::try_new(format!("{QUIET},{filter}")).map_err(|error| format!("log.filter: {error}"))?;
    let registry = tracing_subscriber::registry().with(filter);
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
