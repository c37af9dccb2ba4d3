//! `apply`: webhooks as code, through REST.
//!
//! `yaml.rs` and `scalar.rs` parse the file, `read.rs` finds its webhooks and every mistake, `file.rs` is what one is,
//! `plan.rs` sets them beside those on the server, `remote.rs` asks the server what would change and makes it so,
//! `show.rs` is the difference as text, `work.rs` goes through the steps, `secrets.rs` hands the secrets of new webhooks
//! over.

mod file;
mod plan;
mod read;
mod remote;
mod scalar;
mod secrets;
mod show;
mod work;
mod yaml;

use std::{
    fs::File,
    io::{IsTerminal as _, Read, stdin, stdout},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use clap::Args;
use runtime::config::Config;

use self::{
    plan::{Counts, Matching, Step},
    secrets::Secrets,
    show::Paint,
    yaml::Mistake,
};
use super::token::Server;
use crate::out::{complain, escape, say};

/// How many webhooks a file has, or its mistakes by line, for fuzzing.
#[cfg(feature = "fuzzing")]
pub(crate) fn webhooks_of(bytes: &[u8]) -> Result<usize, Vec<(usize, String)>> {
    let environment = |_: &str| Ok("https://example.com/hook".to_owned());
    let told = |mistakes: Vec<Mistake>| mistakes.into_iter().map(|mistake| (mistake.line, mistake.text)).collect();
    file::read(bytes, &environment).map(|webhooks| webhooks.len()).map_err(told)
}

/// The status of `--exit-code` if something would change, as that of `git diff --exit-code` and `terraform plan`.
const DIFFERENCE: u8 = 2;

#[derive(Debug, Args)]
pub(crate) struct Apply {
    /// YAML or JSON file of webhooks; `-` reads standard input.
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// Show what would change, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Delete the webhooks that are not in the file (of those that the token may see).
    #[arg(long)]
    prune: bool,
    /// With --dry-run: status 2 if something would change.
    #[arg(long, requires = "dry_run")]
    exit_code: bool,
    /// New file for the secrets of created webhooks (JSON, name to secret) instead of showing them.
    #[arg(long, value_name = "FILE")]
    secrets_file: Option<PathBuf>,
    #[command(flatten)]
    server: Server,
}

impl Apply {
    pub(crate) async fn run(self, config: &Config) -> anyhow::Result<ExitCode> {
        let wanted = match file::read(&self.bytes()?, &|name| std::env::var(name)) {
            Ok(wanted) => wanted,
            Err(mistakes) => return Ok(self.refuse(&mistakes)),
        };
        let rest = self.server.rest(config)?;
        let matching = match Matching::new(&wanted, remote::list(&rest).await?) {
            Ok(matching) => matching,
            Err(mistakes) => return Ok(self.refuse(&mistakes)),
        };
        let steps = match remote::check(&rest, matching, self.prune).await? {
            Ok(steps) => steps,
            Err(mistakes) => return Ok(self.refuse(&mistakes)),
        };
        let counts = Counts::of(&steps);
        show(&steps, counts)?;
        match counts.to_do() {
            0 => Ok(ExitCode::SUCCESS),
            _ if self.dry_run && self.exit_code => Ok(ExitCode::from(DIFFERENCE)),
            _ if self.dry_run => Ok(ExitCode::SUCCESS),
            _ => {
                let secrets = Secrets::open(self.secrets_file.as_deref().filter(|_| counts.create > 0))?;
                work::carry_out(&rest, steps, secrets).await
            }
        }
    }

    /// No more of the file than may be read, and a byte to tell.
    fn bytes(&self) -> anyhow::Result<Vec<u8>> {
        let most = file::MAX_BYTES as u64 + 1;
        let mut bytes = Vec::new();
        let read = if self.file == Path::new("-") {
            stdin().lock().take(most).read_to_end(&mut bytes)
        } else {
            File::open(&self.file).and_then(|file| file.take(most).read_to_end(&mut bytes))
        };
        read.with_context(|| format!("cannot read {}", self.file.display()))?;
        Ok(bytes)
    }

    /// Tells every mistake with its line; nothing has been changed yet.
    fn refuse(&self, mistakes: &[Mistake]) -> ExitCode {
        let name = if self.file == Path::new("-") { "<stdin>".to_owned() } else { self.file.display().to_string() };
        for Mistake { line, text } in mistakes {
            complain(format_args!("{}:{line}: {}", escape(&name), escape(text)));
        }
        let count = if mistakes.len() == 1 { "1 mistake".to_owned() } else { format!("{} mistakes", mistakes.len()) };
        complain(format_args!("error: {count}; nothing was changed"));
        ExitCode::FAILURE
    }
}

/// Prints the difference.
fn show(steps: &[Step<'_>], counts: Counts) -> anyhow::Result<()> {
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let paint = Paint { colours: !plain && stdout().is_terminal() };
    for step in steps {
        say!("{}", show::step(step, paint))?;
    }
    say!("{}", show::summary(counts))
}
