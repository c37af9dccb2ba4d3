//! `bench`: how fast the product is and what a delivery costs, on this machine.
//!
//! `scenario.rs` is what is measured, `deployment/` what is measured with, `load.rs` publishes, `receiver.rs` receives,
//! `usage.rs` reads what processes have used, `report.rs` shows it.

mod deployment;
mod load;
mod receiver;
mod report;
mod scenario;
mod usage;

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use anyhow::{Context as _, bail};
use clap::Args;
use deployment::{Deployment, Mode};
use load::{Load, Publishers};
use report::Report;
use runtime::{Program, Tasks, config::Config};
use scenario::{Scenario, Stage};

use crate::{commands::read_token, out::say, rest::Rest};

#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// What to start on this machine and measure.
    #[arg(long, value_enum, default_value = "embedded", conflicts_with = "rest")]
    mode: Mode,
    /// Measure the deployment whose REST API is here instead; it must accept webhooks to --receiver-url.
    #[arg(long, value_name = "ADDRESS", requires = "grpc")]
    rest: Option<String>,
    /// Where that deployment takes events.
    #[arg(long, value_name = "ADDRESS", requires = "rest")]
    grpc: Option<String>,
    /// File with an administrator's token of that deployment; `admin.token` in `data.dir` otherwise.
    #[arg(long, value_name = "FILE", requires = "rest")]
    token_file: Option<PathBuf>,
    /// File with a publisher's token of that deployment; `publisher.token` in `data.dir` otherwise.
    #[arg(long, value_name = "FILE", requires = "rest")]
    publisher_token_file: Option<PathBuf>,
    /// Where the receiver listens.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    receiver: SocketAddr,
    /// What the deployment calls the receiver, such as `http://10.0.0.5:9999`.
    #[arg(long, value_name = "URL", requires = "rest")]
    receiver_url: Option<String>,
    /// Measurements of each scenario, of which the table shows medians.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=1000))]
    repeats: u16,
    /// Only scenarios whose name contains this.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// So many times the usual number of events in each scenario of the table.
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    scale: f64,
    /// Measure one scenario of your own, with so many events, instead of the table.
    #[arg(long, value_name = "N", conflicts_with_all = ["only", "scale"], value_parser = clap::value_parser!(u64).range(1..))]
    events: Option<u64>,
    /// Its events a second; without it events follow each other as fast as they are acknowledged.
    #[arg(long, value_name = "N", requires = "events", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// Its webhooks that get every event.
    #[arg(long, value_name = "N", requires = "events", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    fan_out: u64,
    /// Its webhooks that get none.
    #[arg(long, value_name = "N", requires = "events", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=100_000))]
    others: u64,
    /// Bytes of its bodies, about; at least 1,000.
    #[arg(long, value_name = "N", requires = "events", default_value_t = 1_500)]
    body: usize,
    /// Of a hundred of its events, how many fail at their first attempt.
    #[arg(long, value_name = "N", requires = "events", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=100))]
    failing: u64,
    /// Every measurement as JSON instead of the table.
    #[arg(long)]
    json: bool,
}

impl Bench {
    pub(crate) async fn run(self, config: &Config) -> anyhow::Result<ExitCode> {
        let tasks = Tasks::new();
        let measured = tokio::select! {
            // What was started ends with what is dropped.
            () = Program::signal() => None,
            measured = self.measure(config, &tasks) => Some(measured),
        };
        tasks.shutdown_token().cancel();
        match measured {
            None => Ok(ExitCode::from(crate::commands::INTERRUPTED)),
            Some(Ok(report)) if self.json => say!("{:#}", report.json()).map(|()| ExitCode::SUCCESS),
            Some(Ok(report)) => say!("{report}").map(|()| ExitCode::SUCCESS),
            Some(Err(error)) => Err(error),
        }
    }

    fn scenarios(&self) -> anyhow::Result<Vec<Scenario>> {
        if let Some(events) = self.events {
            let load = Load { events, rate: self.rate, body: self.body };
            let name = "your own".to_owned();
            return Ok(vec![Scenario {
                name,
                fan_out: self.fan_out,
                others: self.others,
                load,
                failing: self.failing,
            }]);
        }
        if !(self.scale > 0.0 && self.scale <= 1_000.0) {
            bail!("--scale: {} is not above 0 and at most 1000", self.scale);
        }
        let all = Scenario::table(self.scale);
        let Some(text) = &self.only else { return Ok(all) };
        let names: Vec<String> = all.iter().map(|scenario| format!("`{}`", scenario.name)).collect();
        let some: Vec<Scenario> = all.into_iter().filter(|scenario| scenario.name.contains(text)).collect();
        if some.is_empty() {
            bail!("--only: no scenario has `{text}` in its name; there are {}", names.join(", "));
        }
        Ok(some)
    }

    async fn measure(&self, config: &Config, tasks: &Tasks) -> anyhow::Result<Report> {
        let scenarios = self.scenarios()?;
        let deployment = self.deployment(config).await?;
        let mut report = Report::of(deployment.started_in, deployment.usage());
        let (address, arrivals) = receiver::listen(self.receiver, tasks).await?;
        let stage = Stage {
            rest: Rest::new(&deployment.rest, Some(deployment.admin_token.clone()))?,
            publishers: Publishers::connect(&deployment.grpc, &deployment.publisher_token).await?,
            deployment,
            arrivals,
            receiver: self.receiver_url.clone().unwrap_or_else(|| format!("http://{address}")),
        };
        for scenario in scenarios {
            let measured = stage.play(&scenario, self.repeats.into()).await;
            report.add(&scenario.name, measured.with_context(|| scenario.name.clone())?);
            if !self.json {
                crate::out::complain(format_args!("measured: {}", scenario.name));
            }
        }
        Ok(report)
    }

    async fn deployment(&self, config: &Config) -> anyhow::Result<Deployment> {
        let (Some(rest), Some(grpc)) = (&self.rest, &self.grpc) else { return Deployment::start(self.mode).await };
        let token = |file: Option<&PathBuf>, own| read_token(file.map(PathBuf::as_path), &config.data.dir, own);
        let admin = token(self.token_file.as_ref(), "admin.token")?;
        let publisher = token(self.publisher_token_file.as_ref(), "publisher.token")?;
        Ok(Deployment::existing(rest.clone(), grpc.clone(), admin, publisher))
    }
}
