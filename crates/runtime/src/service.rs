//! The `main` of a service that is a program of its own.

use std::{error::Error, io::Write as _, path::PathBuf, process::ExitCode};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use proto::channel::GrpcChannel;

use crate::{
    Listeners, Program, ServiceCredential, Tasks,
    config::{Config, ConfigError},
    connect, explain, probe,
};

/// What went wrong, for people.
pub type Failure = Box<dyn Error + Send + Sync>;

/// What `--help` says of a program, and whether it has a schema to bring up to date.
struct Description {
    name: &'static str,
    about: &'static str,
    schema: bool,
}

/// The programs that are run with [`service`].
const PROGRAMS: [Description; 4] = [
    Description {
        name: "testmo-subscription",
        about: "Testmo webhooks: keeps webhooks and tokens, and serves the REST API. Needs PostgreSQL.",
        schema: true,
    },
    Description {
        name: "testmo-ingest",
        about: "Testmo webhooks: takes events over gRPC. Needs RabbitMQ.",
        schema: false,
    },
    Description {
        name: "testmo-dispatcher",
        about: "Testmo webhooks: sends deliveries to their receivers. Needs RabbitMQ.",
        schema: false,
    },
    Description {
        name: "testmo-history",
        about: "Testmo webhooks: records attempts and shows them. Needs PostgreSQL and RabbitMQ.",
        schema: true,
    },
];

/// The command beside serving.
const HEALTH: &str = "health";

/// The command line of a program.
fn command(name: &'static str) -> Command {
    let known = PROGRAMS.iter().find(|program| program.name == name);
    let command = Command::new(name).version(env!("CARGO_PKG_VERSION")).arg(
        Arg::new("config")
            .long("config")
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .global(true)
            .help("Configuration file (TOML); environment variables TESTMO_WEBHOOKS__SECTION__KEY win over it"),
    );
    let health =
        Command::new(HEALTH).about("Asks the running program whether it is ready, and exits with status 1 if not");
    let command = command.about(known.map(|program| program.about)).subcommand(health);
    if known.is_some_and(|program| !program.schema) {
        return command;
    }
    command.arg(
        Arg::new("no-migrate")
            .long("no-migrate")
            .action(ArgAction::SetTrue)
            .help("Refuse to start on an older database schema instead of bringing it up to date"),
    )
}

/// Which listeners a service has beside `admin.listen`.
#[derive(Clone, Copy, Debug)]
pub struct Serves {
    /// `http.listen`.
    pub http: bool,
    /// `grpc.listen`.
    pub grpc: bool,
}

/// What a service is assembled from.
#[derive(Debug)]
pub struct Context {
    /// Its configuration.
    pub config: Config,
    /// Whether to bring the database schema up to date.
    pub migrate: bool,
    /// Where its tasks run.
    pub tasks: Tasks,
    /// Proves it to the other services.
    pub credential: ServiceCredential,
}

impl Context {
    /// The way to the subscription service, with the credential.
    ///
    /// # Errors
    /// An address that is missing or cannot be used.
    pub fn subscription(&self) -> Result<GrpcChannel, Failure> {
        Ok(self.credential.attach(self.channel("services.subscription", self.config.services.subscription.as_ref())?))
    }

    /// The way to the history service, with the credential.
    ///
    /// # Errors
    /// An address that is missing or cannot be used.
    pub fn history(&self) -> Result<GrpcChannel, Failure> {
        Ok(self.credential.attach(self.channel("services.history", self.config.services.history.as_ref())?))
    }

    /// A way to another service, without the credential: for calls in somebody else's name.
    ///
    /// # Errors
    /// An address that is missing or cannot be used.
    pub fn channel(&self, key: &'static str, address: Option<&String>) -> Result<GrpcChannel, Failure> {
        let address = Config::require(key, address)?;
        Ok(connect(key, address, &self.config.services)?)
    }
}

/// Runs a service until it is asked to end. What prevents it goes to standard error, on one line.
pub fn service<F, B>(name: &'static str, serves: Serves, assemble: F) -> ExitCode
where
    F: FnOnce(Context) -> B,
    B: Future<Output = Result<Program, Failure>>,
{
    let arguments = command(name).get_matches();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(name, &error),
    };
    let ended = if arguments.subcommand_name() == Some(HEALTH) {
        runtime.block_on(health(&arguments))
    } else {
        runtime.block_on(run(name, serves, arguments, assemble)).map(|()| ExitCode::SUCCESS)
    };
    ended.unwrap_or_else(|error| fail(name, &*error))
}

fn fail(name: &str, error: &(dyn Error + 'static)) -> ExitCode {
    // Nobody may read it any more.
    let _ = writeln!(std::io::stderr(), "{name}: error: {}", explain(error));
    ExitCode::FAILURE
}

fn configuration(arguments: &ArgMatches) -> Result<Config, ConfigError> {
    Config::load(arguments.get_one::<PathBuf>("config").map(PathBuf::as_path))
}

async fn health(arguments: &ArgMatches) -> Result<ExitCode, Failure> {
    let (ready, told) = probe::readiness(&configuration(arguments)?.admin).await?;
    writeln!(std::io::stdout(), "{told}")?;
    Ok(if ready { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn run<F, B>(name: &'static str, serves: Serves, arguments: ArgMatches, assemble: F) -> Result<(), Failure>
where
    F: FnOnce(Context) -> B,
    B: Future<Output = Result<Program, Failure>>,
{
    let config = configuration(&arguments)?;
    let migrate = !arguments.try_get_one("no-migrate").ok().flatten().copied().unwrap_or(false);
    crate::init_telemetry(name, &config).map_err(ConfigError::Value)?;
    let listeners = Listeners::bind(&config, serves.http, serves.grpc)?;
    let token_file = Config::require("services.token_file", config.services.token_file.as_ref())?;
    let credential = ServiceCredential::load(token_file)?;
    let context = Context { config, migrate, tasks: Tasks::new(), credential };
    let program = assemble(context).await?;
    tracing::info!(service = name, version = env!("CARGO_PKG_VERSION"), "started");
    program.run(listeners, Program::signal()).await?;
    tracing::info!(service = name, "ended");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_program_tells_what_it_is() {
        for program in &PROGRAMS {
            let mut command = command(program.name);
            let help = command.render_help().to_string();
            assert!(help.starts_with(program.about), "{help}");
            assert!(help.contains(&format!("Usage: {}", program.name)), "{help}");
            assert_eq!(help.contains("--no-migrate"), program.schema, "{help}");
            assert!(command.render_version().starts_with(program.name));
            let asks = command.clone().try_get_matches_from([program.name, HEALTH, "--config", "file"]).unwrap();
            assert_eq!(asks.get_one::<PathBuf>("config").unwrap(), &PathBuf::from("file"));
            let given = command.try_get_matches_from([program.name, "--no-migrate"]);
            assert_eq!(given.is_ok(), program.schema);
        }
    }
}
