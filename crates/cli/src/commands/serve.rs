//! `standalone`: all services in this process, until asked to end.

use std::process::ExitCode;

use clap::Args;
use runtime::{Listeners, Program, Tasks, config::Config};

use crate::standalone;

#[derive(Debug, Args)]
pub(crate) struct Standalone {
    /// Refuse to start on an older database schema instead of bringing it up to date.
    #[arg(long)]
    no_migrate: bool,
}

impl Standalone {
    pub(crate) async fn run(self, config: Config) -> anyhow::Result<ExitCode> {
        runtime::init_logs(config.log.format, &config.log.filter).map_err(anyhow::Error::msg)?;
        let listeners = Listeners::bind(&config, true, true).await?;
        let (program, files) = standalone::assemble(&config, !self.no_migrate, Tasks::new()).await?;
        for (what, path) in &files.made {
            println!("{what} written to {}", path.display());
        }
        println!(
            "REST API at http://{}/api/v1, gRPC at {}, health and metrics at http://{}",
            config.http.listen, config.grpc.listen, config.admin.listen
        );
        program.run(listeners, Program::signal()).await?;
        Ok(ExitCode::SUCCESS)
    }
}
