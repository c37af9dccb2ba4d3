//! `demo`: the main job, shown on the embedded default with local receivers, and checked on the way.

mod receiver;
mod story;

use std::{net::SocketAddr, process::ExitCode};

use anyhow::Context as _;
use clap::Args;
use runtime::{
    Listeners, Program, Tasks,
    config::{Config, Schedule},
};
use tokio_util::sync::CancellationToken;

use crate::standalone;

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// End when everything has arrived, with status 0 only if it did as expected.
    #[arg(long)]
    exit: bool,
}

impl Demo {
    pub(crate) async fn run(self, config: &Config) -> anyhow::Result<ExitCode> {
        let folder = tempfile::Builder::new().prefix("testmo-webhooks-demo-").tempdir()?;
        let config = demo_config(config, folder.path())?;
        runtime::init_logs(config.log.format, &config.log.filter).map_err(anyhow::Error::msg)?;
        let listeners = Listeners::bind(&config, true, true).await?;
        let address = |listener: Option<&tokio::net::TcpListener>| -> anyhow::Result<SocketAddr> {
            listener.context("no listener")?.local_addr().context("no address")
        };
        let (http, grpc) = (address(listeners.http.as_ref())?, address(listeners.grpc.as_ref())?);
        println!("Testmo Webhooks demo: all services in this process, data in {}", folder.path().display());
        println!("  REST API  http://{http}/api/v1  (token: {})", folder.path().join("admin.token").display());
        println!("  gRPC      {grpc}  (token: {})\n", folder.path().join("publisher.token").display());

        let stop = CancellationToken::new();
        let (program, _) = standalone::assemble(&config, true, Tasks::new()).await?;
        let server = program.run(listeners, stop.clone().cancelled_owned());
        let told = async {
            let _stop = stop.drop_guard();
            let outcome = story::tell(http, grpc, folder.path()).await?;
            println!("\n{outcome}");
            if !self.exit {
                println!("The services go on until Ctrl-C.");
                Program::signal().await;
            }
            anyhow::Ok(outcome.complete())
        };
        let (served, complete) = tokio::join!(server, told);
        served?;
        Ok(if complete? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Free ports, a folder that goes away, a schedule that can be watched, and receivers on this machine.
fn demo_config(config: &Config, folder: &std::path::Path) -> anyhow::Result<Config> {
    let mut config = config.clone();
    let free = SocketAddr::from(([127, 0, 0, 1], 0));
    (config.http.listen, config.grpc.listen, config.admin.listen) = (free, free, free);
    config.data.dir = folder.to_path_buf();
    (config.database.url, config.broker.url) = (None, None);
    (config.secrets.key_file, config.auth.bootstrap_token_file) = (None, None);
    config.delivery.allow_networks = vec!["127.0.0.0/8".parse().map_err(anyhow::Error::msg)?];
    config.delivery.retry_schedule =
        Schedule(domain::RetrySchedule::new([0, 1, 2].map(std::time::Duration::from_secs).to_vec())?);
    if config.log == Config::default().log {
        config.log.filter = "warn".to_owned();
    }
    Ok(config)
}
