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
    told(output.write_fmt(text).and_then(|()| output.flush()))
}

/// The same of bytes.
pub(crate) fn write_bytes(bytes: &[u8]) -> anyhow::Result<()> {
    let mut output = std::io::stdout().lock();
    told(output.write_all(bytes).and_then(|()| output.flush()))
}

fn told(written: std::io::Result<()>) -> anyhow::Result<()> {
    match written {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Err(OutputClosed.into()),
        written => written.context("cannot write to standard output"),
    }
}

/// Writes a line to standard error, if anybody reads it.
pub(crate) fn complain(text: fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Text of somebody else's with control characters escaped, and those that turn the direction of writing: shown as they
/// are, they could hide or forge what stands around them.
pub(crate) fn escape(text: &str) -> String {
    // Not the joiners, U+200C and U+200D: words and emoji are written with them.
    let deceives = |letter| matches!(letter, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{feff}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}');
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\n' | '\r' | '\t' => shown.extend(letter.escape_default()),
            _ if letter.is_control() || deceives(letter) => shown.extend(letter.escape_unicode()),
            _ => shown.push(letter),
        }
    }
    shown
}

/// Such text in quotes.
pub(crate) fn quoted(text: &str) -> String {
    format!("\"{}\"", escape(&text.replace('\\', r"\\").replace('"', "\\\"")))
}

/// `println!` that answers an error instead of panicking.
macro_rules! say {
    () => { $crate::out::write(format_args!("\n")) };
    ($($text:tt)+) => { $crate::out::write(format_args!("{}\n", format_args!($($text)+))) };
}

pub(crate) use say;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_others_cannot_act_on_the_terminal() {
        assert_eq!(escape("a\u{1b}[31m\n\u{9b}b\u{202e}c ü 🚀"), r"a\u{1b}[31m\n\u{9b}b\u{202e}c ü 🚀");
        assert_eq!(quoted("a\"b\\n"), r#""a\"b\\n""#);
    }
}
