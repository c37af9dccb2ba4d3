//! `export`: delivery history, whole, through REST, at constant memory.
//!
//! `target.rs` is where it goes, `count.rs` how far it has come.

mod count;
mod target;

use std::{
    io::{IsTerminal as _, stdout},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use runtime::{Program, config::Config};
use url::form_urlencoded::Serializer;

use self::{
    count::Count,
    target::{Begun, Part, Target},
};
use super::{
    INTERRUPTED,
    progress::{Shown, bar},
    token::Server,
};
use crate::{
    out::{complain, write_bytes},
    rest::{Incoming, Rest},
};

/// The header with the number of entries.
const TOTAL: &str = "x-total-count";

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// File to write; standard output by default. Until it is whole, it is `FILE.part`.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// One JSON array, or an object a line.
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
    /// Only entries of this webhook.
    #[arg(long, value_name = "ID", value_parser = clap::value_parser!(i64).range(1..))]
    webhook: Option<i64>,
    /// Only of this status: `pending`, `delivered` or `failed`.
    #[arg(long)]
    status: Option<String>,
    /// Only of events of this type, such as `run.completed`.
    #[arg(long, value_name = "TYPE")]
    event: Option<String>,
    /// Only entries of this time or later, in RFC 3339.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Only entries before this time.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Only test payloads (true), or only others (false).
    #[arg(long, value_name = "BOOL")]
    test: Option<bool>,
    /// Go on with `FILE.part`, after its last whole line; the filters must be the same. NDJSON only.
    #[arg(long, requires = "output")]
    resume: bool,
    /// Replace the file, and what is left of an export that was broken off.
    #[arg(long, requires = "output")]
    force: bool,
    #[command(flatten)]
    server: Server,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Json,
    Ndjson,
}

/// Where an export goes.
enum Output {
    Standard,
    File(Part),
}

impl Export {
    pub(crate) async fn run(self, config: &Config) -> anyhow::Result<ExitCode> {
        if self.resume && self.format != Format::Ndjson {
            bail!("--resume needs --format ndjson: an array that was broken off cannot be gone on with");
        }
        let target = self.output.as_deref().map(|file| Target::new(file, self.force)).transpose()?;
        let part = target.as_ref().map(|target| target.part().to_owned());
        let rest = self.server.rest(config)?;
        let (mut shown, mut count) = (Shown::default(), Count::new());
        let ended = tokio::select! {
            ended = self.export(&rest, target, &mut shown, &mut count) => Some(ended),
            () = Program::signal() => None,
        };
        shown.end();
        let left = part.filter(|part| part.exists()).map(|part| {
            let how = match self.format {
                Format::Ndjson => "to go on: the same command with --resume",
                Format::Json => "to start anew: the same command with --force; only NDJSON can be gone on with",
            };
            format!("what came is in {}; {how}", part.display())
        });
        match ended {
            Some(Ok(())) => {
                complain(format_args!("{count}"));
                Ok(ExitCode::SUCCESS)
            }
            Some(Err(error)) => {
                // Where nothing came, the error alone says what to do.
                if let Some(left) = left.filter(|_| count.bytes > 0) {
                    complain(format_args!("{left}"));
                }
                Err(error)
            }
            None => {
                let left = left.unwrap_or_else(|| "the export was broken off".to_owned());
                complain(format_args!("{left}"));
                Ok(ExitCode::from(INTERRUPTED))
            }
        }
    }

    async fn export(
        &self,
        rest: &Rest,
        target: Option<Target>,
        shown: &mut Shown,
        count: &mut Count,
    ) -> anyhow::Result<()> {
        let (mut incoming, mut output) = match target {
            Some(target) if self.resume => {
                let (part, Begun { count: found, cursor }) = target.resume()?;
                let incoming = rest.open(&self.path(cursor.as_deref())).await?;
                *count = found;
                (incoming, Output::File(part))
            }
            // Only now: what is refused leaves no file behind.
            Some(target) => (rest.open(&self.path(None)).await?, Output::File(target.create()?)),
            None => (rest.open(&self.path(None)).await?, Output::Standard),
        };
        let rest = total(&incoming)?;
        let expected = count.entries + rest;
        complain(format_args!("{rest} {} to export", if rest == 1 { "entry" } else { "entries" }));
        let quiet = matches!(output, Output::Standard) && stdout().is_terminal();
        while let Some(text) = incoming.next().await? {
            output.write(&text)?;
            count.add(&text);
            if !quiet {
                shown.show(|| format!("{}: {count}", bar(count.entries, expected)));
            }
        }
        if count.entries != expected {
            bail!("{} of {expected} entries came: what is between here and the server has changed them", count.entries);
        }
        output.finish()
    }

    /// What is asked for.
    fn path(&self, cursor: Option<&str>) -> String {
        let format = match self.format {
            Format::Json => "json",
            Format::Ndjson => "ndjson",
        };
        let (webhook, test) = (self.webhook.map(|id| id.to_string()), self.test.map(|test| test.to_string()));
        let mut query = Serializer::new(String::new());
        query.append_pair("format", format);
        for (name, value) in [
            ("webhook", webhook.as_deref()),
            ("status", self.status.as_deref()),
            ("event", self.event.as_deref()),
            ("from", self.from.as_deref()),
            ("to", self.to.as_deref()),
            ("test", test.as_deref()),
            ("cursor", cursor),
        ] {
            query.extend_pairs(value.map(|value| (name, value)));
        }
        format!("/api/v1/webhooks/deliveries/export?{}", query.finish())
    }
}

impl Output {
    fn write(&mut self, text: &[u8]) -> anyhow::Result<()> {
        match self {
            Self::Standard => write_bytes(text),
            Self::File(part) => part.write(text),
        }
    }

    fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Standard => Ok(()),
            Self::File(part) => part.finish(),
        }
    }
}

fn total(incoming: &Incoming) -> anyhow::Result<i64> {
    let total = incoming.header(TOTAL).and_then(|total| total.parse().ok());
    total.with_context(|| format!("the server's answer has no number `{TOTAL}`; is this the right address?"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        export: Export,
    }

    fn parse(line: &str) -> Option<Export> {
        let words = std::iter::once("export").chain(line.split_whitespace());
        Line::try_parse_from(words).ok().map(|line| line.export)
    }

    #[test]
    fn filters_become_a_query() {
        let all = "--format ndjson --webhook 7 --status failed --event run.completed --from 2026-11-23T08:00:00+01:00 \
                   --to b --test false";
        assert_eq!(
            parse(all).unwrap().path(Some("AgA=")),
            "/api/v1/webhooks/deliveries/export?format=ndjson&webhook=7&status=failed&event=run.completed\
             &from=2026-11-23T08%3A00%3A00%2B01%3A00&to=b&test=false&cursor=AgA%3D"
        );
        assert_eq!(parse("").unwrap().path(None), "/api/v1/webhooks/deliveries/export?format=json");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for wrong in ["--resume", "--force", "--format xml", "--webhook 0", "--test maybe"] {
            assert!(parse(wrong).is_none(), "{wrong}");
        }
        assert!(parse("-o a --resume --force --format ndjson").is_some());
    }
}
