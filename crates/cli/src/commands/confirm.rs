//! Asking before something is done that cannot be taken back.

use std::io::{BufRead as _, IsTerminal as _};

use anyhow::{Context as _, bail};

use crate::out;

/// Asks a person whether to do `action` (`drop 2 parked messages for good`); where there is none, `--yes` must say it.
pub(super) fn confirmed(action: &str) -> anyhow::Result<bool> {
    let mut input = std::io::stdin().lock();
    if !input.is_terminal() {
        bail!("nobody can be asked here whether to {action}; give --yes");
    }
    out::write(format_args!("{action}? [y/N] "))?;
    let mut answer = String::new();
    input.read_line(&mut answer).context("cannot read the answer")?;
    Ok(agrees(&answer))
}

fn agrees(answer: &str) -> bool {
    matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_yes() {
        assert!(["y\n", "Y", " yes \r\n", "YES"].into_iter().all(agrees));
        assert!(!["", "\n", "n", "no", "yeah", "all"].into_iter().any(agrees));
    }
}
