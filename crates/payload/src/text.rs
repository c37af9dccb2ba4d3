//! Text for chat messages: cleaned once, so that no invisible character can disturb a layout, and cut to a length as it is
//! written in a target's syntax.

use std::fmt;

use unicode_segmentation::UnicodeSegmentation;

/// More than any message shows of one text: what comes after is not even looked at. In bytes.
const KEPT: usize = 8192;
/// Lines that a text of several lines shows.
const LINES: usize = 12;
/// Code points of one visible character, more than any emoji or script needs; towers of accents are higher.
const CLUSTER: usize = 16;
/// Longer names of emoji there are none. In characters.
const EMOJI: usize = 100;
/// Left-to-right mark: what follows a right-to-left text goes on in its own direction.
const LRM: char = '\u{200E}';

/// Cleaned text, not yet escaped for a target.
///
/// Control characters, bidirectional embeddings, overrides and isolates, and characters without width are gone; those
/// that scripts and emoji are written with (joiners, variation selectors, marks of direction) stay. Runs of white space
/// are one space.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Text {
    text: String,
    /// Whether it holds letters that are written from right to left.
    rtl: bool,
    /// Whether it may hold visible characters of several code points. Finding them costs most of the rendering.
    joined: bool,
}

impl Text {
    /// Cleaned text of one line.
    pub(crate) fn line(raw: &str) -> Self {
        Self::clean(raw, 1)
    }

    /// Cleaned text of several lines; empty ones are left out.
    pub(crate) fn lines(raw: &str) -> Self {
        Self::clean(raw, LINES)
    }

    /// A name; what nobody could see is replaced by `#id`.
    pub(crate) fn name(raw: &str, id: i64) -> Self {
        let name = Self::line(raw);
        if name.is_blank() { Self::line(&format!("#{id}")) } else { name }
    }

    /// Whether nothing of it can be seen.
    pub(crate) fn is_blank(&self) -> bool {
        self.text.chars().all(|letter| letter == ' ' || is_format(letter))
    }

    /// The first characters of it, for use within a longer text.
    pub(crate) fn short(&self, units: usize) -> Self {
        let mut text = String::with_capacity(self.text.len().min(4 * units));
        fit(&mut text, self, units, &Verbatim);
        Self { text, ..*self }
    }

    fn clean(raw: &str, lines: usize) -> Self {
        // Most names: nothing below concerns them.
        let spaced = raw.starts_with(' ') || raw.ends_with(' ') || raw.contains("  ");
        if raw.len() <= KEPT && !spaced && raw.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            return Self { text: raw.to_owned(), rtl: false, joined: false };
        }
        let (mut text, mut gap, mut line, mut flag) = (String::with_capacity(raw.len().min(KEPT)), None, 1, false);
        let (mut rtl, mut joined) = (false, false);
        for letter in raw.chars() {
            if text.len() > KEPT {
                break;
            }
            flag = letter == '\u{1F3F4}' || (flag && is_tag(letter));
            match letter {
                '!'..='~' if gap.is_none() => text.push(letter),
                '\n' | '\r' | '\u{0B}' | '\u{0C}' | '\u{85}' | '\u{2028}' | '\u{2029}' => gap = Some('\n'),
                _ if is_space(letter) => gap = gap.or(Some(' ')),
                _ if is_dropped(letter) || (is_tag(letter) && !flag) => {}
                _ => {
                    if let Some(space) = gap.take().filter(|_| !text.is_empty()) {
                        line += usize::from(space == '\n');
                        if line > lines && lines > 1 {
                            text.push('…');
                            break;
                        }
                        text.push(if lines > 1 { space } else { ' ' });
                    }
                    rtl |= is_rtl(letter);
                    joined |= is_joined(letter);
                    text.push(letter);
                }
            }
        }
        Self { text, rtl, joined }
    }

    /// The first visible character of a rest of it.
    fn cluster<'a>(&self, rest: &'a str) -> &'a str {
        let first = if self.joined { rest.graphemes(true).next() } else { None };
        first.unwrap_or_else(|| &rest[..rest.chars().next().map_or(0, char::len_utf8)])
    }

    /// How many letters, digits and spaces begin a rest of it, which no target gives a meaning. In bytes.
    fn plain(&self, rest: &str) -> usize {
        let plain = rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b' ').count();
        // The last one may be one character with what follows.
        if self.joined { plain.saturating_sub(1) } else { plain }
    }
}

impl fmt::Display for Text {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// White space, and letters that look like it.
fn is_space(letter: char) -> bool {
    letter.is_whitespace() || matches!(letter, '\u{115F}' | '\u{1160}' | '\u{2800}' | '\u{3164}' | '\u{FFA0}')
}

/// What could hide text, turn its direction, or is no text at all.
fn is_dropped(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{AD}' | '\u{034F}' | '\u{17B4}' | '\u{17B5}' | '\u{180B}'..='\u{180F}')
        || matches!(letter, '\u{200B}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}')
        || matches!(letter, '\u{FEFF}' | '\u{FFF0}'..='\u{FFFC}' | '\u{1D173}'..='\u{1D17A}')
        || (u32::from(letter) & 0xFFFE) == 0xFFFE
}

/// Tags spell the regions of flags; anywhere else they are text that nobody sees.
fn is_tag(letter: char) -> bool {
    matches!(letter, '\u{E0000}'..='\u{E007F}')
}

/// What shapes its neighbours and cannot be seen by itself.
fn is_format(letter: char) -> bool {
    matches!(letter, '\u{061C}' | '\u{200C}'..='\u{200F}' | '\u{FE00}'..='\u{FE0F}' | '\u{E0100}'..='\u{E01EF}')
}

fn is_rtl(letter: char) -> bool {
    matches!(letter, '\u{0590}'..='\u{08FF}' | '\u{200F}' | '\u{FB1D}'..='\u{FDFF}' | '\u{FE70}'..='\u{FEFC}')
        || matches!(letter, '\u{10800}'..='\u{10FFF}' | '\u{1E800}'..='\u{1EFFF}')
}

/// Whether a letter may be one visible character together with its neighbours: all but the scripts, the punctuation and
/// the symbols in which most texts and our own are written.
fn is_joined(letter: char) -> bool {
    let alone = matches!(letter, '\0'..='\u{02FF}' | '\u{2010}'..='\u{2027}' | '\u{2190}'..='\u{27BF}')
        || matches!(letter, '\u{1F300}'..='\u{1F3FA}' | '\u{1F400}'..='\u{1FAFF}');
    !alone
}

/// How text is written so that a target shows it as it is.
pub(crate) trait Syntax {
    /// Writes the first character of `rest`, which comes after `before`, so that it means nothing but itself.
    fn escape(&self, before: Option<char>, rest: &str, out: &mut String);
}

/// Whether a colon before `rest` begins the name of an emoji, such as `:tada:`. Slack and Discord know the same ones, and
/// workspaces have their own, in any script.
pub(crate) fn is_emoji(rest: &str) -> bool {
    let fits = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '-' | '+' | '\'');
    let Some((end, ':')) = rest.char_indices().take(EMOJI).find(|(_, letter)| !fits(*letter)) else { return false };
    let name = &rest[..end];
    // Other digits are a time of day.
    matches!(name, "100" | "1234") || !name.bytes().all(|byte| byte.is_ascii_digit())
}

/// Text after which a colon of our own comes, which may end the name of an emoji.
pub(crate) struct Label<S>(pub(crate) S);

impl<S: Syntax> Syntax for Label<S> {
    fn escape(&self, before: Option<char>, rest: &str, out: &mut String) {
        if rest.starts_with(':') {
            self.0.escape(before, &format!("{rest}:"), out);
        } else {
            self.0.escape(before, rest, out);
        }
    }
}

/// Nothing has a meaning.
struct Verbatim;

impl Syntax for Verbatim {
    fn escape(&self, _before: Option<char>, rest: &str, out: &mut String) {
        out.extend(rest.chars().next());
    }
}

/// Length as targets count it: one for each character, two for those that take four bytes.
pub(crate) fn units(text: &str) -> usize {
    text.bytes().map(|byte| usize::from(!(0x80..0xC0).contains(&byte)) + usize::from(byte >= 0xF0)).sum()
}

/// Writes `text` in a target's syntax, in at most `limit` UTF-16 units, `…` included where it is cut. No visible
/// character and no escape is cut in two.
pub(crate) fn fit(out: &mut String, text: &Text, limit: usize, syntax: &impl Syntax) {
    // Room for the mark of direction.
    let limit = limit - usize::from(text.rtl);
    out.reserve(text.text.len().min(limit));
    let (start, mut used, mut kept, mut before) = (out.len(), 0, out.len(), None);
    let mut rest = text.text.as_str();
    while used <= limit && !rest.is_empty() {
        let plain = text.plain(rest);
        let written = if plain > 0 && used + plain < limit {
            out.push_str(&rest[..plain]);
            used += plain;
            plain
        } else {
            let cluster = text.cluster(rest);
            for (offset, letter) in cluster.char_indices().take(CLUSTER) {
                let from = out.len();
                syntax.escape(before, &rest[offset..], out);
                used += units(&out[from..]);
                before = Some(letter);
            }
            cluster.len()
        };
        before = rest[..written].chars().next_back().or(before);
        rest = &rest[written..];
        if used < limit {
            kept = out.len();
        }
    }
    if used > limit {
        let end = out[start..kept].trim_end().len();
        out.truncate(start + end);
        out.push('…');
    }
    if text.rtl {
        out.push(LRM);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(text: &str, limit: usize) -> String {
        let mut out = String::new();
        fit(&mut out, &Text::line(text), limit, &Verbatim);
        out
    }

    #[test]
    fn text_is_cut_between_visible_characters() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdefg", 6), "abcde…");
        assert_eq!(cut("ab cdef", 4), "ab…");
        assert_eq!(cut("a😀😀", 4), "a😀…");
        assert_eq!(cut("e\u{301}e\u{301}e\u{301}", 5), "e\u{301}e\u{301}…");
        assert_eq!(cut("👨‍👩‍👧‍👦👨‍👩‍👧‍👦", 13), "👨‍👩‍👧‍👦…");
        assert_eq!(cut("🇩🇪🇫🇷", 6), "🇩🇪…");
        assert_eq!(cut("👨‍👩‍👧‍👦", 4), "…");
    }

    #[test]
    fn characters_that_stand_alone_are_their_own_clusters() {
        let alone = (0..=0x0010_FFFF).filter_map(char::from_u32).filter(|letter| !is_joined(*letter) && *letter >= ' ');
        let text: String = alone.collect();
        assert_eq!(text.graphemes(true).count(), text.chars().count());
    }

    #[test]
    fn towers_of_accents_are_cut_down() {
        let tower = format!("a{}b", "\u{301}".repeat(5000));
        assert_eq!(cut(&tower, 100).chars().count(), CLUSTER);
        assert_eq!(cut(&format!("a{}b", "\u{301}".repeat(50)), 100), format!("a{}b", "\u{301}".repeat(CLUSTER - 1)));
    }

    #[test]
    fn names_of_emoji_are_told_from_times_of_day() {
        assert!(["tada: x", "+1:", "100:", "é:", "a_b-c:"].iter().all(|rest| is_emoji(rest)));
        assert!(["", ":", "30:45", "a b:", "tada", " x:", "//a.b:"].iter().all(|rest| !is_emoji(rest)));
    }

    #[test]
    fn lengths_are_counted_in_utf_16() {
        let text = "aé漢😀\u{FFFF}\u{10000}e\u{301}";
        assert_eq!(units(text), text.encode_utf16().count());
    }

    #[test]
    fn what_cannot_be_seen_is_gone() {
        assert_eq!(Text::line("a\u{0}\u{1b}[31m\u{202e}b\u{2066}\u{200b}\u{feff}c\u{e0041}").text, "a[31mbc");
        assert_eq!(Text::line("  a \t\r\n\u{2028} b\u{3164} ").text, "a b");
        assert_eq!(Text::lines(" a \r\n\r\n  b\tc\n").text, "a\nb c");
        assert_eq!(Text::lines(&"x\n".repeat(90)).text.lines().count(), LINES);
        // England's flag is spelled with tags.
        let flag = "\u{1F3F4}\u{E0067}\u{E0062}\u{E0065}\u{E006E}\u{E0067}\u{E007F}";
        assert_eq!(Text::line(flag).text, flag);
    }

    #[test]
    fn names_that_cannot_be_seen_are_replaced() {
        for blank in ["", "  ", "\u{200d}\u{fe0f}", "\u{202e}\u{3164}", "\u{200e}", "\u{1b}"] {
            assert_eq!(Text::name(blank, 12).text, "#12", "{blank:?}");
        }
        assert_eq!(Text::name(" a ", 12).text, "a");
    }

    #[test]
    fn the_direction_of_a_text_ends_with_it() {
        assert_eq!(cut("שלום", 9), "שלום\u{200E}");
        assert_eq!(cut("שלום", 4), "של…\u{200E}");
    }

    proptest! {
        #[test]
        fn any_text_is_cut_between_visible_characters(
            parts in prop::collection::vec(
                prop_oneof!["\\PC", Just("👩🏻‍❤️‍💋‍👨🏻".to_owned()), Just("e\u{301}\u{302}".to_owned()), Just("🇩🇪".to_owned())],
                0..30,
            ),
            limit in 2..60_usize,
        ) {
            let text = Text::line(&parts.concat());
            let mut out = String::new();
            fit(&mut out, &text, limit, &Verbatim);
            prop_assert!(units(&out) <= limit);
            let shown = out.trim_end_matches(LRM);
            if shown != text.text {
                let start = shown.strip_suffix('…').unwrap();
                prop_assert!(text.text.starts_with(start));
                let mut ends = text.text.grapheme_indices(true).map(|(index, _)| index);
                prop_assert!(start.is_empty() || ends.any(|end| text.text[..end].trim_end() == start), "{:?} of {:?}", start, text);
            }
        }
    }
}
