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

/// Text that a client may read as markup or show as it is: nothing in it may be a link either way, and no escape be seen.
pub(super) struct Unlinked;

impl Syntax for Unlinked {
    fn escape(&self, before: Option<char>, rest: &str, out: &mut String) {
        Plain.escape(before, rest, out);
        if ["](", "][", "//"].iter().any(|start| rest.starts_with(start)) {
            out.push(JOINER);
        }
    }
}

/// Text in a block with markup. Not every client knows all escapes, so only what would mean something has one.
pub(super) struct Markup;

impl Syntax for Markup {
    fn escape(&self, before: Option<char>, rest: &str, out: &mut String) {
        let mut letters = rest.chars();
        let (Some(letter), next) = (letters.next(), letters.next()) else { return };
        let escaped = match letter {
            '\\' | '`' | '*' | '[' | ']' | '<' | '~' => true,
            '_' => !(is_inner(before) && is_inner(next)),
            // Entities.
            '&' => next.is_some_and(|next| next == '#' || next.is_ascii_alphabetic()),
            // Headings, quotations and lists.
            '#' | '>' | '-' | '+' => before.is_none(),
            '.' | ')' => before.is_some_and(|before| before.is_ascii_digit()) && next.is_none_or(|next| next == ' '),
            _ => false,
        };
        if escaped {
            out.push('\\');
        }
        Plain.escape(before, rest, out);
        // An address would become a link.
        if rest.starts_with("//") {
            out.push(JOINER);
        }
    }
}

fn is_inner(letter: Option<char>) -> bool {
    letter.is_some_and(|letter| letter.is_ascii_alphanumeric())
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
        let cases = [
            ("[a](b) *c* &lt; a & b {{", "\\[a\\](b) \\*c\\* \\&lt; a & b {\u{2060}{"),
            ("test_pay (_EU_) #1 > 2 - 3", "test_pay (\\_EU\\_) #1 > 2 - 3"),
            ("https://a.b <https://a.b>", "https:/\u{2060}/a.b \\<\u{2060}https:/\u{2060}/a.b>"),
        ];
        for (text, expected) in cases {
            assert_eq!(written(text, &Markup), expected);
        }
    }

    #[test]
    fn a_link_is_none_whether_it_is_read_as_markup_or_not() {
        let text = "[a](https://a.b) [c][d] [e] ${x}";
        let expected = "[a]\u{2060}(https:/\u{2060}/a.b) [c]\u{2060}[d] [e] $\u{2060}{x}";
        assert_eq!(written(text, &Unlinked), expected);
    }

    #[test]
    fn what_begins_a_line_is_text() {
        for text in ["# a", "> a", "- a", "+ a", "-"] {
            assert_eq!(written(text, &Markup), format!("\\{text}"));
        }
        let cases = [("1. a", "1\\. a"), ("1.", "1\\."), ("12) a", "12\\) a"), ("1.5 (2)", "1.5 (2\\)")];
        for (text, expected) in cases {
            assert_eq!(written(text, &Markup), expected);
        }
    }
}
