//! How far something has come, as a line on standard error that is drawn anew.

use std::{
    io::{IsTerminal as _, Write as _, stderr},
    time::Duration,
};

use tokio::time::Instant;

use crate::out::complain;

/// Characters of the bar.
const WIDTH: i64 = 24;
/// Between two lines on a terminal.
const DRAWN_EVERY: Duration = Duration::from_millis(100);
/// Between two lines where none can be drawn anew.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// A bar, such as `[############------------]  50% of 8`.
pub(super) fn bar(done: i64, total: i64) -> String {
    let (share, filled) = match total {
        0 => (100, WIDTH),
        total => (done * 100 / total, (done * WIDTH / total).min(WIDTH)),
    };
    let bar: String = (0..WIDTH).map(|place| if place < filled { '#' } else { '-' }).collect();
    format!("[{bar}] {share:>3}% of {total}")
}

/// What stands on standard error.
#[derive(Default)]
pub(super) struct Shown {
    drawn: bool,
    at: Option<Instant>,
}

impl Shown {
    /// Draws the line anew; where that is not possible, writes one now and then.
    pub(super) fn show(&mut self, line: impl FnOnce() -> String) {
        let terminal = stderr().is_terminal();
        let every = if terminal { DRAWN_EVERY } else { LINE_EVERY };
        if self.at.is_some_and(|at| at.elapsed() < every) {
            return;
        }
        self.at = Some(Instant::now());
        let line = line();
        if terminal {
            self.drawn = true;
            // Nobody may look at it: then nothing is lost.
            let _ = write!(stderr(), "\r{line}\x1b[K").and_then(|()| stderr().flush());
        } else {
            complain(format_args!("{line}"));
        }
    }

    /// Leaves the line as it is.
    pub(super) fn end(&mut self) {
        if std::mem::take(&mut self.drawn) {
            complain(format_args!(""));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_share() {
        assert_eq!(bar(4, 8), "[############------------]  50% of 8");
        assert_eq!(bar(0, 3), "[------------------------]   0% of 3");
        assert_eq!(bar(0, 0), "[########################] 100% of 0");
        assert_eq!(bar(9, 3), "[########################] 300% of 3", "a bar keeps its width");
    }
}
