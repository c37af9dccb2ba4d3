//! `standalone`: all services in this process, until asked to end.

use std::{net::SocketAddr, process::ExitCode, sync::Arc};

use clap::Args;
use runtime::{Listeners, Program, SystemResolver, Tasks, config::Config};

use crate::{out::say, standalone};

#[derive(Debug, Args)]
pub(crate) struct Standalone {
    /// Refuse to start on an older database schema instead of bringing it up to date.
    #[arg(long)]
    no_migrate: bool,
}

impl Standalone {
    pub(crate) async fn run(self, config: Config) -> anyhow::Result<ExitCode> {
        runtime::init_telemetry("testmo-webhooks", &config).map_err(anyhow::Error::msg)?;
        let listeners = Listeners::bind(&config, true, true)?;
        let addresses = listeners.addresses()?;
        let program =
            standalone::assemble(&config, !self.no_migrate, true, Arc::new(SystemResolver), Tasks::new()).await?;
        let shown = |address: Option<SocketAddr>| address.map_or_else(|| "-".to_owned(), |address| address.to_string());
        // A server goes on if nobody reads what it says.
        let _ = say!(
            "REST API at http://{}/api/v1, gRPC at {}, health and metrics at http://{}",
            shown(addresses.http),
            shown(addresses.grpc),
            addresses.admin
        );
        program.run(listeners, Program::signal()).await?;
        Ok(ExitCode::SUCCESS)
    }
}
