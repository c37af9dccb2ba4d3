//! Discord's text syntax.

use crate::text::{Syntax, is_emoji};

/// Keeps apart what would be read as one thing, and is not seen.
const APART: char = '\u{200B}';

/// Text with markup.
pub(super) struct Markdown;

impl Syntax for Markdown {
    fn escape(&self, before: Option<char>, rest: &str, out: &mut String) {
        let Some(letter) = rest.chars().next() else { return };
        let line_start = before.is_none_or(|before| before == '\n');
        let escaped = match letter {
            '\\' | '*' | '_' | '~' | '`' | '|' | '[' | ']' | '<' | '>' => true,
            // Headings, small print and lists.
            '#' | '-' | '+' => line_start,
            '.' | ')' => before.is_some_and(|before| before.is_ascii_digit()) && rest[1..].starts_with([' ', '\n']),
            // An address would become a link, a name of an emoji a picture.
            ':' => rest[1..].starts_with("//") || is_emoji(&rest[1..]),
            _ => false,
        };
        if escaped {
            out.push('\\');
        }
        out.push(letter);
        // A backslash does not keep these from being coloured like a mention.
        if letter == '@' && is_mention(&rest[1..]) {
            out.push(APART);
        }
    }
}

/// Text that is shown as it is (author, footer). What would be markup elsewhere is kept apart all the same, because not
/// every client agrees on where that is.
pub(super) struct Plain;

impl Syntax for Plain {
    fn escape(&self, _before: Option<char>, rest: &str, out: &mut String) {
        let Some(letter) = rest.chars().next() else { return };
        out.push(letter);
        let after = rest.get(1..).unwrap_or_default();
        let apart = match letter {
            '@' => is_mention(after),
            '<' => after.starts_with(['@', '#', ':', '/', 't', 'a', 'i', 'h']),
            ']' => after.starts_with('('),
            ':' => after.starts_with("//"),
            _ => false,
        };
        if apart {
            out.push(APART);
        }
    }
}

fn is_mention(rest: &str) -> bool {
    ["everyone", "here"].iter().any(|name| rest.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{Text, fit};

    #[test]
    fn text_means_nothing_but_itself() {
        let cases = [
            ("**b** _i_ ~~s~~ `c` ||x||", r"\*\*b\*\* \_i\_ \~\~s\~\~ \`c\` \|\|x\|\|"),
            ("[a](https://b.c) <https://d>", r"\[a\](https\://b.c) \<https\://d\>"),
            ("# h\n-# small\n- a\n+ b\n1. c\n2) d\n> q", "\\# h\n\\-# small\n\\- a\n\\+ b\n1\\. c\n2\\) d\n\\> q"),
            ("<@1> <@&2> <#3> <t:0:R> <:a:1>", r"\<@1\> \<@&2\> \<#3\> \<t:0:R\> \<\:a:1\>"),
            ("@everyone @here a - b # c", "@\u{200B}everyone @\u{200B}here a - b # c"),
            (r"\*a", r"\\\*a"),
            (":tada: 10:30:45", r"\:tada: 10:30:45"),
        ];
        for (text, expected) in cases {
            let mut out = String::new();
            fit(&mut out, &Text::lines(text), 500, &Markdown);
            assert_eq!(out, expected);
        }
    }

    #[test]
    fn escapes_are_not_cut() {
        for limit in 1..20 {
            let mut out = String::new();
            fit(&mut out, &Text::line("*****a*****"), limit, &Markdown);
            assert!(out.encode_utf16().count() <= limit, "{out}");
            assert!(!out.replace("\\*", "").contains(['\\', '*']), "{out}");
        }
    }
}
