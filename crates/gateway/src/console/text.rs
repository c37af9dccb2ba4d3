//! Text that others wrote (users, receivers, publishers), made fit to be looked at.
//!
//! Askama escapes HTML. What is left is text that is no markup and misleads all the same: control characters, terminal
//! colours, and marks that turn the reading direction of what comes after them. Those are shown as signs.

use std::fmt;

use base64::{Engine as _, prelude::BASE64_STANDARD};

/// Text whose every character can be seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Text {
    shown: String,
    /// What it was, where something had to be replaced: for copying.
    raw: Option<String>,
}

impl Text {
    /// Text for one line: line ends are signs as well.
    pub(super) fn line(raw: impl Into<String>) -> Self {
        Self::of(raw.into(), false)
    }

    /// Text of several lines.
    pub(super) fn block(raw: impl Into<String>) -> Self {
        Self::of(raw.into(), true)
    }

    fn of(raw: String, lines: bool) -> Self {
        if !raw.chars().any(|letter| sign(letter, lines).is_some()) {
            return Self { shown: raw, raw: None };
        }
        let mut shown = String::with_capacity(raw.len() + 16);
        for letter in raw.chars() {
            match sign(letter, lines) {
                Some(sign) => shown.push_str(&sign),
                None => shown.push(letter),
            }
        }
        Self { shown, raw: Some(raw) }
    }

    /// What it was before something was replaced, in base64: not every character can stand in a page as it is. `None`:
    /// nothing was replaced.
    pub(super) fn raw(&self) -> Option<String> {
        self.raw.as_ref().map(|raw| BASE64_STANDARD.encode(raw))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.shown.is_empty()
    }
}

impl fmt::Display for Text {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.shown)
    }
}

/// What stands for a character that cannot be seen; `None`: it can.
fn sign(letter: char, lines: bool) -> Option<String> {
    let code = u32::from(letter);
    match letter {
        '\n' | '\t' if lines => None,
        // The pictures of control characters are in their order.
        '\0'..='\u{1f}' => char::from_u32(0x2400 + code).map(String::from),
        '\u{7f}' => Some("\u{2421}".to_owned()),
        '\u{80}'..='\u{9f}' | '\u{2028}' | '\u{2029}' => Some(format!("\u{27e8}U+{code:04X}\u{27e9}")),
        // Embeddings, overrides and isolates; what is only invisible (joiners, direction marks) has its use in scripts.
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200b}' | '\u{feff}' => {
            Some(format!("\u{27e8}U+{code:04X}\u{27e9}"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_shown_as_a_sign() {
        for (raw, line, block) in [
            ("plain é 日本 \u{200f}עברית", "plain é 日本 \u{200f}עברית", "plain é 日本 \u{200f}עברית"),
            ("\u{1b}[31mred\u{7}", "␛[31mred␇", "␛[31mred␇"),
            ("a\r\n\tb", "a␍␊␉b", "a␍\n\tb"),
            ("\u{202e}gpj\u{2066}", "⟨U+202E⟩gpj⟨U+2066⟩", "⟨U+202E⟩gpj⟨U+2066⟩"),
            ("\0\u{7f}\u{9b}\u{2028}", "␀␡⟨U+009B⟩⟨U+2028⟩", "␀␡⟨U+009B⟩⟨U+2028⟩"),
        ] {
            assert_eq!(Text::line(raw).to_string(), line);
            assert_eq!(Text::block(raw).to_string(), block);
            assert_eq!(Text::line(raw).raw, (line != raw).then(|| raw.to_owned()));
        }
    }
}
