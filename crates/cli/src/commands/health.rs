//! `health`: asks `/readyz`.

use std::process::ExitCode;

use clap::Args;
use runtime::config::Config;

use crate::{out::say, rest::Rest};

#[derive(Debug, Args)]
pub(crate) struct Health {
    /// Address of the health listener; `admin.listen` by default.
    #[arg(long, value_name = "ADDRESS")]
    server: Option<String>,
}

impl Health {
    pub(crate) async fn run(self, config: &Config) -> anyhow::Result<ExitCode> {
        let rest = Rest::new(&self.server.unwrap_or_else(|| config.admin.listen.to_string()), None)?;
        let (status, answer) = rest.send(http::Method::GET, "/readyz", None).await?;
        say!("{}", answer["status"].as_str().unwrap_or("unknown"))?;
        for (name, text) in answer["checks"].as_object().into_iter().flatten() {
            say!("  {name}: {}", text.as_str().unwrap_or_default())?;
        }
        Ok(if status == 200 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
