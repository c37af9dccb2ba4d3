//! Writing to standard output, which may be closed at any time (`… | head -3`): then there is nothing left to do.

use std::{fmt, io::Write as _};

use anyhow::Context as _;

/// Nobody reads standard output any more.
#[derive(Debug)]
pub(crate) struct OutputClosed;

impl fmt::Display for OutputClosed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("standard output is closed")
    }
}

impl std::error::Error for OutputClosed {}

/// Writes text to standard output at once; [`OutputClosed`] where nobody reads it.
pub(crate) fn write(text: fmt::Arguments<'_>) -> anyhow::Result<()> {
    let mut output = std::io::stdout().lock();
    match output.write_fmt(text).and_then(|()| output.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Err(OutputClosed.into()),
        written => written.context("cannot write to standard output"),
    }
}

/// Writes a line to standard error, if anybody reads it.
pub(crate) fn complain(text: fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// `println!` that answers an error instead of panicking.
macro_rules! say {
    () => { $crate::out::write(format_args!("\n")) };
    ($($text:tt)+) => { $crate::out::write(format_args!("{}\n", format_args!($($text)+))) };
}

pub(crate) use say;
