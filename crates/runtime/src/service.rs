//! The `main` of a service that is a program of its own.

use std::{error::Error, path::PathBuf, process::ExitCode};

use clap::Parser;
use proto::channel::GrpcChannel;

use crate::{
    Listeners, Program, ServiceCredential, Tasks,
    config::{Config, ConfigError},
    connect,
};

/// What went wrong, for people.
pub type Failure = Box<dyn Error + Send + Sync>;

/// Arguments of every service.
#[derive(Debug, Parser)]
struct Arguments {
    /// Configuration file (TOML); environment variables `TESTMO_WEBHOOKS__SECTION__KEY` win over it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Refuse to start on an older database schema instead of bringing it up to date.
    #[arg(long)]
    no_migrate: bool,
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
        Ok(connect(key, address, self.config.services.allow_plaintext)?)
    }
}

/// Runs a service until it is asked to end. What prevents it goes to standard error, on one line.
pub fn service<F, B>(name: &'static str, serves: Serves, assemble: F) -> ExitCode
where
    F: FnOnce(Context) -> B,
    B: Future<Output = Result<Program, Failure>>,
{
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(name, &error),
    };
    match runtime.block_on(run(name, serves, arguments, assemble)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(name, &*error),
    }
}

fn fail(name: &str, error: &dyn Error) -> ExitCode {
    eprintln!("{name}: error: {error}");
    ExitCode::FAILURE
}

async fn run<F, B>(name: &'static str, serves: Serves, arguments: Arguments, assemble: F) -> Result<(), Failure>
where
    F: FnOnce(Context) -> B,
    B: Future<Output = Result<Program, Failure>>,
{
    let config = Config::load(arguments.config.as_deref())?;
    crate::init_logs(config.log.format, &config.log.filter).map_err(ConfigError::Value)?;
    let listeners = Listeners::bind(&config, serves.http, serves.grpc).await?;
    let token_file = Config::require("services.token_file", config.services.token_file.as_ref())?;
    let credential = ServiceCredential::load(token_file)?;
    let context = Context { config, migrate: !arguments.no_migrate, tasks: Tasks::new(), credential };
    let program = assemble(context).await?;
    tracing::info!(service = name, version = env!("CARGO_PKG_VERSION"), "started");
    program.run(listeners, Program::signal()).await?;
    tracing::info!(service = name, "ended");
    Ok(())
}
