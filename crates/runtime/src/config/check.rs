//! Values that have the right form and that no program could work with.

use super::{Config, ConfigError, Period, SecretUrl};

/// The longest `delivery.deactivate_after`: a day less than the shortest time for which history keeps attempts.
const LONGEST_FAILING: Period = Period::from_secs(6 * 24 * 3600);

/// Refuses what would fail later, and less clearly.
pub(super) fn check(config: &Config) -> Result<(), ConfigError> {
    let delivery = &config.delivery;
    for (key, period, example) in
        [("delivery.timeout", delivery.timeout, "10s"), ("delivery.connect_timeout", delivery.connect_timeout, "5s")]
    {
        if period.0.is_zero() {
            return Err(must(key, &format!("be longer than {period}, such as {example}")));
        }
    }
    for (key, bound, example) in [
        ("delivery.max_in_flight", delivery.max_in_flight, 512),
        ("delivery.max_in_flight_slow", delivery.max_in_flight_slow, 256),
        ("delivery.max_in_flight_per_slow_webhook", delivery.max_in_flight_per_slow_webhook, 32),
    ] {
        if bound == 0 {
            return Err(must(key, &format!("be at least 1, such as {example}")));
        }
    }
    if delivery.deactivate_after.0 > LONGEST_FAILING.0 {
        let rule = "be at most 144h, such as 120h: history may keep attempts for no longer than 7 days; 0s is never";
        return Err(must("delivery.deactivate_after", rule));
    }
    let publishing = &config.publishing;
    if publishing.burst == 0 && publishing.events_per_second > 0 {
        let rule = "be at least 1, such as 20000; to switch the quota off, set publishing.events_per_second to 0";
        return Err(must("publishing.burst", rule));
    }
    let Config { http, grpc, admin, .. } = config;
    for (section, cert_file, key_file) in [
        ("http", &http.cert_file, &http.key_file),
        ("grpc", &grpc.cert_file, &grpc.key_file),
        ("admin", &admin.cert_file, &admin.key_file),
    ] {
        for (given, missing, other) in [(cert_file, key_file, "key_file"), (key_file, cert_file, "cert_file")] {
            if given.is_some() && missing.is_none() {
                let rule = "be set too: a certificate is of no use without its key, nor a key without it";
                return Err(must(&format!("{section}.{other}"), rule));
            }
        }
    }
    let auth = &config.auth;
    for (key, value) in [("auth.jwt_issuer", &auth.jwt_issuer), ("auth.jwt_audience", &auth.jwt_audience)] {
        if value.is_some() && auth.jwt_key_file.is_none() {
            return Err(must(key, "come with auth.jwt_key_file: without a key no JWT is accepted"));
        }
    }
    if !(0.0..=1.0).contains(&config.traces.ratio) {
        return Err(must("traces.ratio", "be from 0 to 1, such as 0.1: one event of ten"));
    }
    let form = "look like postgres://user:password@host:5432/database";
    scheme("database.url", config.database.url.as_ref(), &["postgres", "postgresql"], form)?;
    let form = "look like amqp://user:password@host:5672/vhost";
    scheme("broker.url", config.broker.url.as_ref(), &["amqp", "amqps"], form)
}

fn scheme(key: &str, url: Option<&SecretUrl>, known: &[&str], form: &str) -> Result<(), ConfigError> {
    let fits = |url: &SecretUrl| known.iter().any(|scheme| url.scheme().eq_ignore_ascii_case(scheme));
    if url.is_none_or(fits) { Ok(()) } else { Err(must(key, form)) }
}

fn must(key: &str, rule: &str) -> ConfigError {
    ConfigError::Value(format!("{key} must {rule}"))
}
