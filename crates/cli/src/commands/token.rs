//! `token`: API tokens, through REST.

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand};
use http::Method;
use runtime::config::Config;
use serde_json::json;

use super::read_token;
use crate::{
    out::{escape, say},
    rest::{Rest, expect},
};

#[derive(Debug, Args)]
pub(crate) struct Server {
    /// Address of the REST API; `http.listen` by default.
    #[arg(long, value_name = "ADDRESS")]
    server: Option<String>,
    /// File with the token of an administrator; `admin.token` in the data folder by default.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Make a token and print its text, which is never shown again.
    Create {
        /// What it is for.
        #[arg(long)]
        name: String,
        /// `system_admin`, `project_admin`, `member` or `publisher`.
        #[arg(long)]
        role: String,
        /// A project that a project administrator administers; may be repeated.
        #[arg(long = "project", value_name = "ID")]
        projects: Vec<i64>,
        /// For all instances (role `publisher` only; made by an administrator of the instance `default`).
        #[arg(long)]
        all_instances: bool,
        /// When it stops working, in RFC 3339.
        #[arg(long, value_name = "TIME")]
        expires_at: Option<String>,
        #[command(flatten)]
        server: Server,
    },
    /// List the tokens of the instance.
    List {
        #[command(flatten)]
        server: Server,
    },
    /// Revoke a token at once.
    Revoke {
        /// Its id, as `token list` shows it.
        id: i64,
        #[command(flatten)]
        server: Server,
    },
}

impl Server {
    /// A client in the name of the token.
    pub(super) fn rest(&self, config: &Config) -> anyhow::Result<Rest> {
        let token = read_token(self.token_file.as_deref(), &config.data.dir, "admin.token")?;
        Rest::new(&self.server.clone().unwrap_or_else(|| config.http.listen.to_string()), Some(token))
    }
}

impl Token {
    pub(crate) async fn run(self, config: &Config) -> anyhow::Result<ExitCode> {
        match self {
            Self::Create { name, role, projects, all_instances, expires_at, server } => {
                let mut body = json!({"name": name, "role": role});
                if !projects.is_empty() {
                    body["projects"] = json!(projects);
                }
                if all_instances {
                    body["all_instances"] = json!(true);
                }
                if let Some(time) = expires_at {
                    body["expires_at"] = json!(time);
                }
                let answer = expect(server.rest(config)?.send(Method::POST, "/api/v1/tokens", Some(&body)).await?)?;
                say!("{}", answer["result"]["token"].as_str().unwrap_or_default())?;
            }
            Self::List { server } => list(&server.rest(config)?).await?,
            Self::Revoke { id, server } => {
                expect(server.rest(config)?.send(Method::DELETE, &format!("/api/v1/tokens/{id}"), None).await?)?;
                say!("token {id} is revoked")?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn list(rest: &Rest) -> anyhow::Result<()> {
    let tokens = rest.list("/api/v1/tokens").await?;
    say!("{:<6} {:<14} {:<12} {:<26} name", "id", "role", "starts with", "expires")?;
    for token in tokens {
        let text = |key: &str| escape(token[key].as_str().unwrap_or("-"));
        let (id, role, prefix) = (token["id"].as_i64().unwrap_or_default(), text("role"), text("prefix"));
        say!("{id:<6} {role:<14} {prefix:<12} {:<26} {}", text("expires_at"), text("name"))?;
    }
    Ok(())
}
