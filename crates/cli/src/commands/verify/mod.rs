//! `verify`: whether a delivery's signatures are right, for people who build or debug a receiver.
//!
//! `given.rs` reads what there is to verify, `finding.rs` says what came of it. It needs no server and no configuration.

mod finding;
mod given;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{ArgGroup, Args};
use domain::{Clock as _, SystemClock};
use runtime::config::Period;
use serde_json::json;

use self::{
    finding::{Finding, check},
    given::{Given, Signatures, read_secret},
};
use crate::out::{complain, say};

/// The status if it could not be found out; that of wrong arguments, too. 1 is for signatures that are not right.
const UNCLEAR: u8 = 2;

#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("given").required(true).multiple(true).args(["request", "headers", "signature", "webhook_signature"]),
    after_help = "Status: 0 if there is a signature and all are valid, 1 if one is not, 2 if that could not be found out.\n\
                  While a regenerated secret overlaps with the older one, only the new one verifies \
                  X-Testmo-Signature-256; either verifies webhook-signature."
)]
pub(crate) struct Verify {
    /// File with the signing secret (whsec_…); without it, the secret is taken from the environment variable
    /// TESTMO_WEBHOOKS_SECRET. It can't be an argument: anybody on the machine can see those.
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// File with the body, byte for byte as it was received; `-` reads standard input.
    #[arg(long, value_name = "FILE", default_value = "-")]
    body: PathBuf,
    /// File with the request's headers, a `Name: value` a line; names in any case, a request line does no harm.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["request", "signature", "webhook_signature"])]
    headers: Option<PathBuf>,
    /// File with a whole request as it was captured: headers, an empty line, body; `-` reads standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["body", "signature", "webhook_signature"])]
    request: Option<PathBuf>,
    /// The value of X-Testmo-Signature-256.
    #[arg(long, value_name = "sha256=…")]
    signature: Option<String>,
    /// The value of webhook-id.
    #[arg(long, value_name = "ID", requires = "webhook_signature")]
    webhook_id: Option<String>,
    /// The value of webhook-timestamp.
    #[arg(long, value_name = "SECONDS", requires = "webhook_signature", allow_negative_numbers = true)]
    webhook_timestamp: Option<String>,
    /// The value of webhook-signature: one signature or, separated by spaces, several.
    #[arg(long, value_name = "v1,…", requires_all = ["webhook_id", "webhook_timestamp"])]
    webhook_signature: Option<String>,
    /// How far webhook-timestamp may be from now; 0 leaves it unchecked, as for a delivery that was saved.
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = tolerance)]
    tolerance: Duration,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// As in configuration, or a bare 0.
fn tolerance(text: &str) -> Result<Duration, String> {
    if text == "0" { Ok(Duration::ZERO) } else { text.parse().map(|Period(duration)| duration) }
}

impl Verify {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self.findings() {
            Ok(findings) => tell(&findings, self.json),
            Err(error) => {
                complain(format_args!("error: {}", runtime::explain(error.as_ref())));
                Ok(ExitCode::from(UNCLEAR))
            }
        }
    }

    fn findings(&self) -> anyhow::Result<Vec<Finding>> {
        let secret = read_secret(self.secret_file.as_deref(), std::env::var_os(given::SECRET))?;
        let given = match (&self.request, &self.headers) {
            (Some(request), _) => Given::from_request(request)?,
            (None, Some(headers)) => Given::from_headers(headers, &self.body)?,
            (None, None) => Given::new(self.options(), &self.body)?,
        };
        Ok(check(&secret, &given, SystemClock.now(), self.tolerance))
    }

    fn options(&self) -> Signatures {
        let value = |option: &Option<String>| option.as_deref().map(|text| text.trim().to_owned());
        Signatures {
            testmo: value(&self.signature),
            id: value(&self.webhook_id),
            timestamp: value(&self.webhook_timestamp),
            standard: value(&self.webhook_signature),
        }
    }
}

fn tell(findings: &[Finding], as_json: bool) -> anyhow::Result<ExitCode> {
    let valid = findings.iter().all(|finding| finding.verdict.is_ok());
    if as_json {
        let signature = |finding: &Finding| match &finding.verdict {
            Ok(()) => json!({"header": finding.header, "valid": true}),
            Err(reason) => json!({"header": finding.header, "valid": false, "reason": reason}),
        };
        say!("{}", json!({"valid": valid, "signatures": findings.iter().map(signature).collect::<Vec<_>>()}))?;
    } else {
        for Finding { header, verdict } in findings {
            match verdict {
                Ok(()) => say!("{header}: valid")?,
                Err(reason) => say!("{header}: invalid: {reason}")?,
            }
        }
    }
    Ok(if valid { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
