//! The program `testmo-webhooks`: all services in one process, and the commands for people.

mod bench;
mod commands;
mod demo;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod grpc;
mod out;
mod rest;
mod server;
mod standalone;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use commands::{apply, export, health, parked, publish, replay, secrets, serve, token, verify};
use out::OutputClosed;
use runtime::config::Config;

/// Testmo webhooks: signed, durable, provable notifications of test-management events.
#[derive(Debug, Parser)]
#[command(name = "testmo-webhooks", version, arg_required_else_help = true)]
struct Arguments {
    /// Configuration file (TOML); environment variables `TESTMO_WEBHOOKS__SECTION__KEY` win over it.
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run all services in this process, on files in the data folder unless a database and broker are configured.
    Standalone(serve::Standalone),
    /// Show the main job on free ports and a temporary folder: events in, signed deliveries out, retries, history.
    Demo(demo::Demo),
    /// Publish events over gRPC: one JSON object a line, in the generic payload's shape.
    Publish(publish::Publish),
    /// Make, list and revoke API tokens.
    #[command(subcommand)]
    Token(token::Token),
    /// Make the server's webhooks what a YAML or JSON file says, after showing the difference.
    Apply(apply::Apply),
    /// Give every delivery of a webhook that failed in a range of time one more attempt, and show how that goes.
    Replay(replay::Replay),
    /// Export delivery history, whole, as JSON or NDJSON.
    Export(export::Export),
    /// Show, requeue or drop the messages that could not be worked on.
    #[command(subcommand)]
    Parked(parked::Parked),
    /// Change the key that signing secrets are encrypted with.
    #[command(subcommand)]
    Secrets(secrets::Secrets),
    /// Check the signatures of a delivery, either scheme, and say what is wrong with one that does not fit.
    Verify(verify::Verify),
    /// Measure how fast deliveries are and what they cost on this machine, or in a deployment that is there.
    Bench(bench::Bench),
    /// Print the configuration in force, passwords masked.
    Config,
    /// Ask a running program whether it is ready; the status is 0 if it is.
    Health(health::Health),
}

/// The status if nobody reads standard output any more: what a shell shows for programs that die of SIGPIPE.
const CLOSED: u8 = 141;

/// Does what the arguments of the process ask for.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.into()),
    };
    match runtime.block_on(run(arguments)) {
        Ok(code) => code,
        Err(error) if error.chain().any(|cause| cause.is::<OutputClosed>()) => ExitCode::from(CLOSED),
        Err(error) => fail(&error),
    }
}

fn fail(error: &anyhow::Error) -> ExitCode {
    out::complain(format_args!("error: {}", runtime::explain(error.as_ref())));
    ExitCode::FAILURE
}

async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let config = || Config::load(arguments.config.as_deref());
    match arguments.command {
        Command::Standalone(command) => command.run(config()?).await,
        Command::Demo(command) => command.run(&config()?).await,
        Command::Publish(command) => command.run(&config()?).await,
        Command::Token(command) => command.run(&config()?).await,
        Command::Apply(command) => command.run(&config()?).await,
        Command::Replay(command) => command.run(&config()?).await,
        Command::Export(command) => command.run(&config()?).await,
        Command::Parked(command) => command.run(&config()?).await,
        Command::Secrets(command) => command.run(&config()?).await,
        Command::Verify(command) => command.run(),
        Command::Bench(command) => command.run(&config()?).await,
        Command::Config => commands::config::print(&config()?),
        Command::Health(command) => command.run(&config()?).await,
    }
}
