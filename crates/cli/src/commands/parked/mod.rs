//! `parked`: the messages that could not be worked on, through the gRPC service of ingest.
//!
//! `show.rs` says how they are shown.

mod show;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{anyhow, bail};
use broker::Lane;
use clap::{Args, Subcommand, builder::PossibleValuesParser, value_parser};
use proto::v1::{DropParkedRequest, ListParkedRequest, RequeueParkedRequest, operations_client::OperationsClient};
use runtime::config::Config;
use tonic::{Code, Status, transport::Channel};

use super::{confirm::confirmed, read_token};
use crate::{
    grpc::{self, Authorization},
    out::{self, complain, say},
};

#[derive(Debug, Args)]
pub(crate) struct Server {
    /// gRPC address of ingest, or of standalone; `grpc.listen` by default.
    #[arg(long, value_name = "ADDRESS")]
    server: Option<String>,
    /// File with the token of a system administrator of the instance `default`; `admin.token` in the data folder by
    /// default.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// Either some, or all, never neither.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Which {
    /// Ids of messages, as `parked list` shows them.
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// All parked messages.
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Selection {
    #[command(flatten)]
    which: Which,
    /// Of them, only those that came from this lane.
    #[arg(long, value_parser = PossibleValuesParser::new(Lane::ALL.map(Lane::name)))]
    lane: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Parked {
    /// Show parked messages, the oldest first.
    List {
        /// How many at most.
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = value_parser!(u32).range(1..=1000))]
        limit: u32,
        /// Print JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        server: Server,
    },
    /// Put parked messages back into the lanes that they came from, to be tried again.
    Requeue {
        #[command(flatten)]
        selection: Selection,
        #[command(flatten)]
        server: Server,
    },
    /// Remove parked messages for good: what they would have caused never happens.
    Drop {
        #[command(flatten)]
        selection: Selection,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        server: Server,
    },
}

impl Parked {
    pub(crate) async fn run(self, config: &Config) -> anyhow::Result<ExitCode> {
        match self {
            Self::List { limit, json, server } => list(server.connect(config).await?, limit, json).await,
            Self::Requeue { selection, server } => {
                let Operator { mut client, authorization } = server.connect(config).await?;
                let Selection { which: Which { ids, all }, lane } = selection.distinct();
                let named = ids.len();
                let request = RequeueParkedRequest { ids, all, lane: lane.unwrap_or_default() };
                let answer = client.requeue_parked(authorization.request(request)).await;
                done("requeued", answer.map_err(|status| refused(&status))?.into_inner().requeued, named)
            }
            Self::Drop { selection, yes, server } => {
                let selection = selection.distinct();
                if !yes && !confirmed(&format!("drop {} for good", selection.describe()))? {
                    bail!("nothing was dropped");
                }
                let Operator { mut client, authorization } = server.connect(config).await?;
                let Selection { which: Which { ids, all }, lane } = selection;
                let named = ids.len();
                let request = DropParkedRequest { ids, all, lane: lane.unwrap_or_default() };
                let answer = client.drop_parked(authorization.request(request)).await;
                done("dropped", answer.map_err(|status| refused(&status))?.into_inner().dropped, named)
            }
        }
    }
}

/// A connection in the operator's name.
struct Operator {
    client: OperationsClient<Channel>,
    authorization: Authorization,
}

impl Server {
    async fn connect(self, config: &Config) -> anyhow::Result<Operator> {
        let token = read_token(self.token_file.as_deref(), &config.data.dir, "admin.token")?;
        let server = self.server.unwrap_or_else(|| config.grpc.listen.to_string());
        let authorization = Authorization::new(&token)?;
        Ok(Operator { client: OperationsClient::new(grpc::connect(&server).await?), authorization })
    }
}

impl Selection {
    /// Each id once, so that they can be compared with what was found.
    fn distinct(mut self) -> Self {
        self.which.ids.sort();
        self.which.ids.dedup();
        self
    }

    /// In words.
    fn describe(&self) -> String {
        let which = match self.which.ids.as_slice() {
            [] => "all parked messages".to_owned(),
            ids => messages(ids.len() as u64, "parked message"),
        };
        self.lane.as_ref().map_or(which.clone(), |lane| format!("{which} of lane {lane}"))
    }
}

async fn list(operator: Operator, limit: u32, json: bool) -> anyhow::Result<ExitCode> {
    let Operator { mut client, authorization } = operator;
    let answer = client.list_parked(authorization.request(ListParkedRequest { limit })).await;
    let answer = answer.map_err(|status| refused(&status))?.into_inner();
    if json {
        say!("{}", show::json(&answer))?;
    } else {
        out::write(format_args!("{}", show::text(&answer)))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Says how many; a failure if not all that were named were there.
fn done(what: &str, count: u64, named: usize) -> anyhow::Result<ExitCode> {
    say!("{what} {}", messages(count, "message"))?;
    let Some(missing) = (named as u64).checked_sub(count).filter(|missing| *missing > 0) else {
        return Ok(ExitCode::SUCCESS);
    };
    complain(format_args!(
        "error: {missing} of the {named} named are not parked (any more), or not of that lane; see `parked list`"
    ));
    Ok(ExitCode::FAILURE)
}

fn messages(count: u64, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}

fn refused(status: &Status) -> anyhow::Error {
    if status.code() == Code::Unimplemented {
        return anyhow!("that server has no parked messages; name the gRPC address of ingest with --server");
    }
    anyhow!("{}", grpc::refusal(status))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(subcommand)]
        command: Parked,
    }

    fn parse(line: &str) -> Result<Parked, String> {
        let words = std::iter::once("parked").chain(line.split_whitespace());
        Line::try_parse_from(words).map(|line| line.command).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_meant_must_be_said() {
        for verb in ["requeue", "drop"] {
            for wrong in ["", "--all a", "--lane events", "--all --lane parked", "--lane events --yes-all a"] {
                assert!(parse(&format!("{verb} {wrong}")).is_err(), "{verb} {wrong}");
            }
            for right in ["--all", "a", "a b", "--all --lane deliver.fast", "--lane history a b"] {
                assert!(parse(&format!("{verb} {right}")).is_ok(), "{verb} {right}");
            }
        }
        assert!(parse("requeue --all --yes").is_err() && parse("drop --all --yes").is_ok());
        assert!(parse("list --limit 0").is_err() && parse("list --limit 1001").is_err());
        let Ok(Parked::List { limit: 100, json: false, .. }) = parse("list") else { panic!("other defaults") };
    }

    #[test]
    fn a_selection_is_told_in_words() {
        let words = |line: &str| match parse(line) {
            Ok(Parked::Drop { selection, .. }) => selection.distinct().describe(),
            other => panic!("{other:?}"),
        };
        assert_eq!(words("drop --all"), "all parked messages");
        assert_eq!(words("drop --all --lane events"), "all parked messages of lane events");
        assert_eq!(words("drop a a"), "1 parked message");
        assert_eq!(words("drop b a --lane history"), "2 parked messages of lane history");
    }

    #[test]
    fn what_was_named_and_not_found_is_a_failure() {
        assert_eq!(done("dropped", 2, 2).unwrap(), ExitCode::SUCCESS);
        // Copies have one id.
        assert_eq!(done("dropped", 3, 2).unwrap(), ExitCode::SUCCESS);
        assert_eq!(done("dropped", 0, 0).unwrap(), ExitCode::SUCCESS);
        assert_eq!(done("dropped", 1, 2).unwrap(), ExitCode::FAILURE);
    }
}
