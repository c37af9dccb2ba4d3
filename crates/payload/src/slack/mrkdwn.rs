//! Slack's text syntax.
//!
//! It has escapes for `&`, `<` and `>` only. The characters that format are therefore written as others that look like
//! them, and only where they would format: `a_b` stays as it is.

use crate::text::{Syntax, is_emoji};

/// Keeps apart what would be read as one thing, and is not seen.
const JOINER: char = '\u{2060}';

/// Text with markup.
pub(super) struct Mrkdwn;

impl Syntax for Mrkdwn {
    fn escape(&self, before: Option<char>, rest: &str, out: &mut String) {
        let mut letters = rest.chars();
        let Some(letter) = letters.next() else { return };
        let next = letters.next();
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            // At the start of a line, its escape makes a quotation too.
            '>' if before.is_none_or(|before| before == '\n') => out.push('›'),
            '>' => out.push_str("&gt;"),
            '*' => out.push('∗'),
            '~' => out.push('∼'),
            '`' => out.push('ˋ'),
            '_' if !(is_inner(before) && is_inner(next)) => out.push('ˍ'),
            ':' if is_emoji(&rest[1..]) => out.push('∶'),
            '@' if is_mention(&rest[1..]) => out.extend(['@', JOINER]),
            letter => out.push(letter),
        }
    }
}

/// Text without markup, where names of groups are still better not read as mentions.
pub(super) struct Plain;

impl Syntax for Plain {
    fn escape(&self, _before: Option<char>, rest: &str, out: &mut String) {
        let Some(letter) = rest.chars().next() else { return };
        out.push(letter);
        let apart = match letter {
            '@' => is_mention(&rest[1..]),
            '<' => rest[1..].starts_with(['!', '@', '#']),
            _ => false,
        };
        if apart {
            out.push(JOINER);
        }
    }
}

fn is_inner(letter: Option<char>) -> bool {
    letter.is_some_and(|letter| letter.is_ascii_alphanumeric())
}

fn is_mention(rest: &str) -> bool {
    ["channel", "here", "everyone", "group"]
        .iter()
        .any(|name| rest.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{Text, fit};

    fn written(text: &str) -> String {
        let mut out = String::new();
        fit(&mut out, &Text::lines(text), 500, &Mrkdwn);
        out
    }

    #[test]
    fn text_means_nothing_but_itself() {
        let cases = [
            ("<!channel> & <@U1|x> <http://a.b|c>", "&lt;!channel&gt; &amp; &lt;@U1|x&gt; &lt;http://a.b|c&gt;"),
            ("*b* _i_ ~s~ `c` a_b _", "∗b∗ ˍiˍ ∼s∼ ˋcˋ a_b ˍ"),
            ("> quote\n>>> more a > b", "› quote\n›&gt;&gt; more a &gt; b"),
            (":tada: 10:30:45 :+1: :100: a:b", "∶tada: 10:30:45 ∶+1: ∶100: a:b"),
            ("@channel @Here a@example.com", "@\u{2060}channel @\u{2060}Here a@example.com"),
        ];
        for (text, expected) in cases {
            assert_eq!(written(text), expected);
        }
    }

    #[test]
    fn escapes_are_not_cut() {
        for limit in 1..30 {
            let mut out = String::new();
            fit(&mut out, &Text::line("a&b&c&d&e&f&g"), limit, &Mrkdwn);
            assert!(out.encode_utf16().count() <= limit, "{out}");
            assert!(!out.replace("&amp;", "").contains('&'), "{out}");
        }
    }
}
