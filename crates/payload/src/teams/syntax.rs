//! The text syntaxes of Adaptive Cards in Teams.

use crate::text::Syntax;

/// Keeps apart what would be read as one thing, and is not seen.
const JOINER: char = '\u{2060}';

/// Text without markup: there are still functions (`{{DATE(…)}}`), templates (`${…}`) and mentions (`<at>…</at>`).
pub(super) struct Plain;

impl Syntax for Plain {
    fn escape(&self, _before: Option<char>, rest: &str, out: &mut String) {
        let Some(letter) = rest.chars().next() else { return };
        out.push(letter);
        let next = rest.chars().nth(1);
        let apart = match letter {
            '{' | '$' => next == Some('{'),
            '}' => next == Some('}'),
            '<' => next.is_some_and(|next| next.is_ascii_alphabetic() || matches!(next, '/' | '!')),
            _ => false,
        };
        if apart {
            out.push(JOINER);
        }
    }
}

/// Text in a block with markup.
pub(super) struct Markup;

impl Syntax for Markup {
    fn escape(&self, before: Option<char>, rest: &str, out: &mut String) {
        let everywhere = ['\\', '`', '*', '_', '[', ']', '(', ')', '<', '>', '~', '&', '#', '!', '|'];
        // Lists.
        let line_start = before.is_none() && rest.starts_with(['-', '+']);
        let numbered = before.is_some_and(|before| before.is_ascii_digit()) && rest.starts_with(". ");
        // An address would become a link.
        if rest.starts_with(everywhere) || line_start || numbered || rest.starts_with("://") {
            out.push('\\');
        }
        Plain.escape(before, rest, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{Text, fit};

    fn written(text: &str, syntax: &impl Syntax) -> String {
        let mut out = String::new();
        fit(&mut out, &Text::line(text), 500, syntax);
        out
    }

    #[test]
    fn text_means_nothing_but_itself() {
        let text = "{{{DATE(2026-01-01T00:00:00Z)}} ${x} <at>Ada</at> 1 < 2 *b*";
        let expected = "{\u{2060}{\u{2060}{DATE(2026-01-01T00:00:00Z)}\u{2060}} $\u{2060}{x} <\u{2060}at>Ada<\u{2060}/at> 1 < 2 *b*";
        assert_eq!(written(text, &Plain), expected);
        assert_eq!(written("[a](b) *c* &lt; {{", &Markup), "\\[a\\]\\(b\\) \\*c\\* \\&lt; {\u{2060}{");
    }
}
