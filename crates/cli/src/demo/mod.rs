//! `demo`: the main job, shown on the embedded default with local receivers, and checked on the way.
//!
//! `story.rs` is what happens, `receiver.rs` receives, `message.rs` reads what arrived, `outcome.rs` counts and shows it,
//! `authority.rs` makes the certificates of the chats' receivers.

mod authority;
mod message;
mod outcome;
mod receiver;
mod story;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    pin::pin,
    process::ExitCode,
    sync::Arc,
};

use anyhow::Context as _;
use authority::Authority;
use clap::Args;
use domain::{Clock as _, SystemClock};
use runtime::{
    Listeners, Program, SystemResolver, Tasks,
    config::{Config, Schedule},
};
use story::Stage;
use tokio_util::sync::CancellationToken;

use crate::{out::say, standalone};

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// End when everything has arrived, with status 0 only if it did as expected.
    #[arg(long)]
    exit: bool,
}

impl Demo {
    pub(crate) async fn run(self, config: &Config) -> anyhow::Result<ExitCode> {
        let stop = CancellationToken::new();
        let mut shown = pin!(self.show(config, &stop));
        tokio::select! {
            // In this order, so that the signals are listened to before there is a folder to be removed.
            biased;
            () = Program::signal() => {
                stop.cancel();
                shown.await
            }
            shown = &mut shown => shown,
        }
    }

    /// All of it. Whatever happens the folder is gone afterwards.
    async fn show(&self, config: &Config, stop: &CancellationToken) -> anyhow::Result<ExitCode> {
        let folder = tempfile::Builder::new().prefix("testmo-webhooks-demo-").tempdir()?;
        let authority = Authority::new(SystemClock.now())?;
        let roots = folder.path().join("receivers.pem");
        std::fs::write(&roots, &authority.certificate_pem)?;
        let config = demo_config(config, folder.path(), roots)?;
        runtime::init_telemetry("testmo-webhooks", &config).map_err(anyhow::Error::msg)?;
        let listeners = Listeners::bind(&config, true, true)?;
        let addresses = listeners.addresses()?;
        let http = addresses.http.context("no listener for REST")?;
        let grpc = addresses.grpc.context("no listener for gRPC")?;
        say!("Testmo Webhooks demo: all services in this process, data in {}", folder.path().display())?;
        say!("  REST API  http://{http}/api/v1  (token: {})", folder.path().join("admin.token").display())?;
        say!("  console   http://{http}/  (sign in with the same token)")?;
        say!("  gRPC      {grpc}  (token: {})\n", folder.path().join("publisher.token").display())?;

        let program = standalone::assemble(&config, true, false, Arc::new(SystemResolver), Tasks::new()).await?;
        // The one that ends first ends the other.
        let server = async {
            let served = program.run(listeners, stop.clone().cancelled_owned()).await;
            stop.cancel();
            served
        };
        let story = async {
            let _stop = stop.clone().drop_guard();
            self.tell(http, grpc, folder.path(), &authority, stop).await
        };
        let (served, complete) = tokio::join!(server, story);
        served?;
        Ok(if complete? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// Whether everything came out as it should, which it has not if the story was stopped.
    async fn tell(
        &self,
        http: SocketAddr,
        grpc: SocketAddr,
        folder: &Path,
        authority: &Authority,
        stop: &CancellationToken,
    ) -> anyhow::Result<bool> {
        let begin = Stage::set(http, grpc, folder, &authority.acceptor);
        let Some(stage) = stop.run_until_cancelled(begin).await else { return Ok(false) };
        let mut stage = stage?;
        let Some(outcome) = stop.run_until_cancelled(stage.play()).await else { return Ok(false) };
        let outcome = outcome?;
        say!("\n{outcome}")?;
        if !self.exit {
            say!("\nThe services and the receivers go on until Ctrl-C. To publish another event, in another shell:\n")?;
            say!("  {}\n", paste(&std::env::current_exe()?, grpc, folder))?;
            if let Some(ended) = stop.run_until_cancelled(stage.go_on()).await {
                ended?;
            }
        }
        Ok(outcome.complete())
    }
}

/// A line for the shell that publishes an event.
fn paste(program: &Path, grpc: SocketAddr, folder: &Path) -> String {
    let event = r#"{"event": "run.completed", "project": {"id": 1, "name": "Shop"}, "data": {"run": {"id": 7, "name": "Smoke test"}, "result": "failed"}}"#;
    let quoted = |path: &Path| format!("'{}'", path.display().to_string().replace('\'', r"'\''"));
    let token = folder.join("publisher.token");
    format!("echo '{event}' | {} publish -f - --server {grpc} --token-file {}", quoted(program), quoted(&token))
}

/// Free ports, a folder that goes away, a schedule that can be watched, and receivers on this machine, whose certificates
/// `roots` vouches for.
fn demo_config(config: &Config, folder: &Path, roots: PathBuf) -> anyhow::Result<Config> {
    let mut config = config.clone();
    let free = SocketAddr::from(([127, 0, 0, 1], 0));
    (config.http.listen, config.grpc.listen, config.admin.listen) = (free, free, free);
    config.data.dir = folder.to_path_buf();
    (config.database.url, config.broker.url) = (None, None);
    config.secrets.key_file = None;
    (config.auth.bootstrap_token_file, config.auth.bootstrap_publisher_token_file) = (None, None);
    config.delivery.allow_networks = vec!["127.0.0.0/8".parse().map_err(anyhow::Error::msg)?];
    config.delivery.ca_file = Some(roots);
    config.delivery.retry_schedule =
        Schedule(domain::RetrySchedule::new([0, 1, 2].map(std::time::Duration::from_secs).to_vec())?);
    if config.log == Config::default().log {
        config.log.filter = "warn".to_owned();
    }
    Ok(config)
}
