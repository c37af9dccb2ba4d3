//! `replay`: one more attempt for every delivery of a webhook that failed in a range of time, through REST.
//!
//! `progress.rs` says how far one has come.

mod progress;

use std::{process::ExitCode, time::Duration};

use anyhow::{Context as _, bail};
use clap::Args;
use http::Method;
use runtime::{Program, config::Config};
use serde_json::json;
use tokio::time::Instant;

use self::progress::Progress;
use super::{INTERRUPTED, confirm::confirmed, progress::Shown, token::Server};
use crate::{
    out::{complain, escape, say},
    rest::{Rest, expect},
};

/// Between two looks at a replay.
const EVERY: Duration = Duration::from_millis(500);
/// How long the server may be away while somebody looks on.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// The webhook whose failed deliveries are meant.
    #[arg(long, value_name = "ID", value_parser = clap::value_parser!(i64).range(1..))]
    webhook: i64,
    /// Those whose last attempt started at this time or later, in RFC 3339.
    #[arg(long, value_name = "TIME", required_unless_present_any = ["watch", "cancel"])]
    from: Option<String>,
    /// Those whose last attempt started before this time; before now by default.
    #[arg(long, value_name = "TIME", requires = "from")]
    to: Option<String>,
    /// Only of this event type or wildcard, such as `run.*`; may be repeated.
    #[arg(long = "event", value_name = "TYPE", requires = "from")]
    events: Vec<String>,
    /// Do not ask.
    #[arg(long, requires = "from")]
    yes: bool,
    /// Start none, and show how this replay goes.
    #[arg(long, value_name = "REPLAY_ID", conflicts_with_all = ["from", "cancel"])]
    watch: Option<String>,
    /// Start none, and cancel this replay.
    #[arg(long, value_name = "REPLAY_ID", conflicts_with = "from")]
    cancel: Option<String>,
    #[command(flatten)]
    server: Server,
}

impl Replay {
    pub(crate) async fn run(self, config: &Config) -> anyhow::Result<ExitCode> {
        let rest = self.server.rest(config)?;
        if let Some(id) = &self.cancel {
            let answer = expect(rest.send(Method::DELETE, &path(self.webhook, id)?, None).await?)?;
            say!("{}", Progress::read(&answer)?.summary())?;
            return Ok(ExitCode::SUCCESS);
        }
        if let Some(id) = &self.watch {
            return self.watch(&rest, id).await;
        }
        self.start(&rest).await
    }

    async fn start(&self, rest: &Rest) -> anyhow::Result<ExitCode> {
        let all = format!("/api/v1/webhooks/{}/replay", self.webhook);
        let mut body = json!({"from": self.from, "to": self.to, "count_only": true});
        if !self.events.is_empty() {
            body["events"] = json!(self.events);
        }
        let counted = expect(rest.send(Method::POST, &all, Some(&body)).await?)?;
        let count = counted["result"]["count"].as_i64().context("the server's answer has no count")?;
        if count == 0 {
            say!("there is nothing to replay")?;
            return Ok(ExitCode::SUCCESS);
        }
        let time = |name: &str| escape(counted["result"][name].as_str().unwrap_or("-"));
        say!("{count} failed {}, from {} to {}", deliveries(count), time("oldest"), time("newest"))?;
        let action = format!("replay {count} {} of webhook {}", deliveries(count), self.webhook);
        if !self.yes && !confirmed(&action)? {
            bail!("nothing was replayed");
        }
        // What was counted, and nothing that has failed since.
        body["to"] = counted["result"]["to"].clone();
        body["count_only"] = json!(false);
        let started = expect(rest.send(Method::POST, &all, Some(&body)).await?)?;
        let id = Progress::read(&started)?.id;
        self.watch(rest, &id).await
    }

    /// Shows how a replay goes until it is over, or somebody has seen enough.
    async fn watch(&self, rest: &Rest, id: &str) -> anyhow::Result<ExitCode> {
        let path = path(self.webhook, id)?;
        let mut shown = Shown::default();
        tokio::select! {
            ended = follow(rest, &path, &mut shown) => {
                shown.end();
                let progress = ended.with_context(|| self.hint("--watch", id))?;
                say!("{}", progress.summary())?;
                Ok(if progress.is_all_delivered() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
            }
            () = Program::signal() => {
                shown.end();
                complain(format_args!("the replay goes on; {}", self.hint("--cancel", id)));
                Ok(ExitCode::from(INTERRUPTED))
            }
        }
    }

    fn hint(&self, option: &str, id: &str) -> String {
        let what = if option == "--cancel" { "to cancel it" } else { "the replay may go on; to look at it" };
        format!("{what}: testmo-webhooks replay --webhook {} {option} {}", self.webhook, escape(id))
    }
}

/// Looks at a replay until it is over. A server that is away for a while is waited for.
async fn follow(rest: &Rest, path: &str, shown: &mut Shown) -> anyhow::Result<Progress> {
    let mut heard_at = Instant::now();
    loop {
        match rest.send(Method::GET, path, None).await {
            Ok(answer) if answer.0 < 500 => {
                heard_at = Instant::now();
                let progress = Progress::read(&expect(answer)?)?;
                if progress.is_over() {
                    return Ok(progress);
                }
                shown.show(|| progress.line());
            }
            answer if heard_at.elapsed() > PATIENCE => drop(expect(answer?)?),
            _ => {}
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// The address of a replay; what is no id would name another one.
fn path(webhook: i64, id: &str) -> anyhow::Result<String> {
    if id.is_empty() || !id.chars().all(|letter| letter.is_ascii_hexdigit() || letter == '-') {
        bail!("`{}` is not the id of a replay, such as 0190a8f2-5b7e-7c1d-9a3e-1f2d3c4b5a70", escape(id));
    }
    Ok(format!("/api/v1/webhooks/{webhook}/replays/{id}"))
}

fn deliveries(count: i64) -> &'static str {
    if count == 1 { "delivery" } else { "deliveries" }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        replay: Replay,
    }

    #[test]
    fn one_thing_at_a_time_is_asked_for() {
        let parses = |line: &str| Line::try_parse_from(std::iter::once("replay").chain(line.split(' '))).is_ok();
        for right in ["--from a", "--from a --to b --event run.* --event x --yes", "--watch a", "--cancel a"] {
            assert!(parses(&format!("--webhook 7 {right}")), "{right}");
        }
        for wrong in
            ["--to b", "--yes", "--watch a --cancel b", "--from a --cancel b", "--watch a --from b", "--event x"]
        {
            assert!(!parses(&format!("--webhook 7 {wrong}")), "{wrong}");
        }
        assert!(!parses("--from a") && !parses("--webhook 0 --from a"));
    }

    #[test]
    fn only_ids_go_into_addresses() {
        assert_eq!(path(7, "0190a8f2-5b7e").unwrap(), "/api/v1/webhooks/7/replays/0190a8f2-5b7e");
        for wrong in ["", "../8", "a?b", "a/b", "ä"] {
            assert!(path(7, wrong).is_err(), "{wrong}");
        }
    }
}
