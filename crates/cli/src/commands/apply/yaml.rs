//! YAML 1.2, and JSON as a part of it, as a tree that knows the line of everything in it.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};

use super::scalar::{joined_surrogates, plain};

/// Deeper than any webhook needs; a tree is dropped recursively.
const MAX_DEPTH: usize = 32;
/// Aliases are copied: without a bound a small file could ask for a tree without end.
const MAX_NODES: usize = 200_000;

/// Something wrong with the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    /// From 1.
    pub(super) line: usize,
    /// What is wrong and how to mend it. Holds no text that may be a secret.
    pub(super) text: String,
}

impl Mistake {
    pub(super) fn new(line: usize, text: impl Into<String>) -> Self {
        Self { line, text: text.into() }
    }
}

/// A value and where it stands; of an alias, where the alias stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    /// From 1.
    pub(super) line: usize,
    pub(super) value: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Flag(bool),
    Integer(i64),
    /// A number with a fraction or an exponent, or beyond 64 bits: nothing here takes one.
    Number,
    Text(String),
    List(Vec<Node>),
    Map(Vec<Member>),
}

/// A member of a mapping; its name stands there once.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Member {
    pub(super) name: String,
    /// Where the name stands.
    pub(super) line: usize,
    pub(super) value: Node,
}

/// The tree of a file's text. What can be told beside a mistake in the syntax is told with it.
pub(super) fn parse(text: &str) -> Result<Node, Vec<Mistake>> {
    let text = joined_surrogates(text);
    let mut builder = Builder::default();
    for event in Parser::new_from_str(&text) {
        let added = match event {
            Ok((event, span)) => builder.add(event, span),
            Err(error) => Err(syntax(&error, &text)),
        };
        if let Err(mistake) = added {
            builder.mistakes.push(mistake);
            return Err(builder.mistakes);
        }
    }
    if !builder.mistakes.is_empty() {
        return Err(builder.mistakes);
    }
    Ok(builder.root.unwrap_or(Node { line: 1, value: Value::Null }))
}

fn syntax(error: &ScanError, text: &str) -> Mistake {
    let line = error.marker().line();
    if error.info().contains("tab") {
        // The parser tells of a tab that ends a text at the end of that text, which may be lines before.
        let indented = |line: &str| line[..line.len() - line.trim_start().len()].contains('\t');
        let lines = text.lines().skip(line.saturating_sub(1));
        let after = lines.take_while(|line| !indented(line)).count();
        let found = line + after;
        let line = if found > text.lines().count() { line } else { found };
        return Mistake::new(line, "a tab stands where YAML takes spaces only");
    }
    let column = error.marker().col() + 1;
    Mistake::new(line, format!("is not YAML: {} (column {column})", error.info()))
}

/// A list or mapping that has begun.
struct Open {
    line: usize,
    anchor: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    /// Members with a name of their own, the line of each name, and the name that still waits for its value.
    Map {
        members: Vec<Member>,
        lines: HashMap<String, usize>,
        name: Option<Name>,
    },
}

/// The name of a member whose value comes next.
struct Name {
    text: String,
    line: usize,
    /// Whether the mapping has one of this name already: the first stands.
    again: bool,
}

#[derive(Default)]
struct Builder {
    root: Option<Node>,
    open: Vec<Open>,
    /// What aliases may name, by the parser's number; 0 is none.
    anchors: HashMap<usize, Node>,
    nodes: usize,
    mistakes: Vec<Mistake>,
}

impl Builder {
    /// Takes the parser's next event. An error ends the reading; what it can go on after is kept in `mistakes`.
    fn add(&mut self, event: Event<'_>, span: Span) -> Result<(), Mistake> {
        let line = span.start.line();
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) if self.root.is_none() => Ok(()),
            Event::DocumentStart(_) => {
                Err(Mistake::new(line, "a second document begins; put all webhooks under one `webhooks:`"))
            }
            Event::Alias(anchor) => self.alias(anchor, line),
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.is_some(), line);
                self.scalar(&text, style, anchor, line)
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_tag(tag.is_some(), line);
                self.begin(Content::List(Vec::new()), anchor, line)
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_tag(tag.is_some(), line);
                self.begin(Content::Map { members: Vec::new(), lines: HashMap::new(), name: None }, anchor, line)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
        }
    }

    /// Whether what comes next is the name of a member.
    fn awaits_name(&self) -> bool {
        matches!(self.open.last(), Some(Open { content: Content::Map { name: None, .. }, .. }))
    }

    fn refuse_tag(&mut self, tagged: bool, line: usize) {
        if tagged {
            self.mistakes
                .push(Mistake::new(line, "tags such as !!str mean nothing here; leave it out, and quote texts"));
        }
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, anchor: usize, line: usize) -> Result<(), Mistake> {
        if self.awaits_name() {
            return self.name(text, style, line);
        }
        let value = if style == ScalarStyle::Plain { plain(text) } else { Value::Text(text.to_owned()) };
        self.put(Node { line, value }, anchor)
    }

    fn name(&mut self, text: &str, style: ScalarStyle, line: usize) -> Result<(), Mistake> {
        if style == ScalarStyle::Plain && text == "<<" {
            return Err(Mistake::new(line, "merge keys (<<) are not part of YAML 1.2; write the members out"));
        }
        if let Some(Open { content: Content::Map { lines, name, .. }, .. }) = self.open.last_mut() {
            let first = lines.get(text).copied();
            if let Some(first) = first {
                let text = format!("{} stands here a second time (first in line {first}); keep one", shown(text));
                self.mistakes.push(Mistake::new(line, text));
            } else {
                lines.insert(text.to_owned(), line);
            }
            *name = Some(Name { text: text.to_owned(), line, again: first.is_some() });
        }
        Ok(())
    }

    fn alias(&mut self, anchor: usize, line: usize) -> Result<(), Mistake> {
        if self.awaits_name() {
            return Err(Mistake::new(line, "an alias cannot be a name; write the name out"));
        }
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(Mistake::new(line, "the alias stands within what it names; write the value out"));
        };
        self.nodes += size(node);
        self.check_size(line)?;
        let node = Node { line, value: node.value.clone() };
        self.put(node, 0)
    }

    fn begin(&mut self, content: Content, anchor: usize, line: usize) -> Result<(), Mistake> {
        if self.awaits_name() {
            return Err(Mistake::new(line, "a name must be a text, not a list or a mapping"));
        }
        if self.open.len() == MAX_DEPTH {
            return Err(Mistake::new(line, format!("is nested more than {MAX_DEPTH} levels deep")));
        }
        self.open.push(Open { line, anchor, content });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Mistake> {
        let Some(Open { line, anchor, content }) = self.open.pop() else { return Ok(()) };
        let value = match content {
            Content::List(items) => Value::List(items),
            Content::Map { members, .. } => Value::Map(members),
        };
        self.put(Node { line, value }, anchor)
    }

    fn put(&mut self, node: Node, anchor: usize) -> Result<(), Mistake> {
        self.nodes += 1;
        self.check_size(node.line)?;
        if anchor > 0 {
            self.nodes += size(&node);
            self.check_size(node.line)?;
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open { content: Content::List(items), .. }) => items.push(node),
            Some(Open { content: Content::Map { members, name, .. }, .. }) => {
                if let Some(Name { text, line, again: false }) = name.take() {
                    members.push(Member { name: text, line, value: node });
                }
            }
        }
        Ok(())
    }

    fn check_size(&self, line: usize) -> Result<(), Mistake> {
        if self.nodes <= MAX_NODES {
            return Ok(());
        }
        Err(Mistake::new(line, format!("makes more than {MAX_NODES} values, aliases counted; split the file")))
    }
}

/// A name as mistakes may show it: what does not look like one may be a secret for which a space was forgotten
/// (`{Authorization:hunter2}`).
pub(super) fn shown(name: &str) -> String {
    let usual = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    if !name.is_empty() && name.len() <= 64 && name.bytes().all(usual) {
        return format!("`{name}`");
    }
    "this name".to_owned()
}

fn size(node: &Node) -> usize {
    match &node.value {
        Value::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        Value::Map(members) => 1 + members.iter().map(|member| size(&member.value)).sum::<usize>(),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A tree as text: each value with its line.
    fn drawn(node: &Node) -> String {
        let value = match &node.value {
            Value::Null => "null".to_owned(),
            Value::Flag(flag) => flag.to_string(),
            Value::Integer(number) => number.to_string(),
            Value::Number => "number".to_owned(),
            Value::Text(text) => format!("{text:?}"),
            Value::List(items) => format!("[{}]", items.iter().map(drawn).collect::<Vec<_>>().join(" ")),
            Value::Map(members) => {
                let member = |member: &Member| format!("{}:{}={}", member.line, member.name, drawn(&member.value));
                format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(" "))
            }
        };
        format!("{}:{value}", node.line)
    }

    fn tree(text: &str) -> String {
        parse(text).map_or_else(|mistakes| panic!("{text:?}: {mistakes:?}"), |node| drawn(&node))
    }

    #[test]
    fn every_value_knows_its_line() {
        for (text, expected) in [
            ("a: 1\nb:\n  - x\n  - {y: ~}\n", r#"1:{1:a=1:1 2:b=3:[3:"x" 4:{4:y=4:null}]}"#),
            ("---\na: 'x'\r\nb: \"y\"\r\n...\n", r#"2:{2:a=2:"x" 3:b=3:"y"}"#),
            ("{\n\t\"a\": 1,\n\t\"b\": [true]\n}", "1:{2:a=2:1 3:b=3:[3:true]}"),
            ("a: &x {k: v}\nb: *x\n", r#"1:{1:a=1:{1:k=1:"v"} 2:b=2:{1:k=1:"v"}}"#),
            ("a: |\n  x\n  y\nb: >-\n  z\n", r#"1:{1:a=2:"x\ny\n" 4:b=5:"z"}"#),
            (
                "a:\n  - b: [\n      1\n    ]\n    c: {\n      d: 2,\n    }\n",
                "1:{1:a=2:[2:{2:b=2:[3:1] 5:c=5:{6:d=6:2}}]}",
            ),
            ("", "1:null"),
            ("# nothing\n", "1:null"),
        ] {
            assert_eq!(tree(text), expected, "{text:?}");
        }
    }

    #[test]
    fn json_escapes_beyond_16_bits_are_read() {
        assert_eq!(tree(r#"{"a": "\ud83d\uDE80 \\ud83d \u00e9\/\n"}"#), "1:{1:a=1:\"🚀 \\\\ud83d é/\\n\"}");
        assert_eq!(tree(r#"["\ud83d\ude80"]"#), "1:[1:\"🚀\"]");
        // Not JSON: there it is plain text.
        assert_eq!(tree(r"['\ud83d\ude80']"), r#"1:[1:"\\ud83d\\ude80"]"#);
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_line() {
        for (text, line, expected) in [
            ("a:\n\tb: 1\n", 2, "a tab stands"),
            ("a:\n  b: x\n\n\tc: 1\n", 4, "a tab stands"),
            ("a: |\n\tb\n", 2, "a tab stands"),
            ("a: 1\na: 2\n", 2, "`a` stands here a second time (first in line 1)"),
            ("{\"a\": 1,\n\"a\": 2}", 2, "`a` stands here a second time (first in line 1)"),
            ("a: 1\n---\nb: 1\n", 2, "second document"),
            ("a: &x [*x]\n", 1, "within what it names"),
            ("a: 1\nb: *x\n", 2, "unknown anchor"),
            ("a: 1\n<<: {b: 1}\n", 2, "merge keys"),
            ("a: 1\nb: !!str 2\n", 2, "tags"),
            ("? [a]\n: 1\n", 1, "a name must be a text"),
            ("a: &x y\n*x : 1\n", 2, "an alias cannot be a name"),
            ("a: 'x\n", 1, "is not YAML: "),
            ("a: 1\n b: 2\n", 2, "is not YAML: "),
            ("{\"a\": [1, 2\n", 2, "is not YAML: "),
        ] {
            let mistakes = parse(text).err().unwrap_or_default();
            let found = mistakes.iter().any(|mistake| mistake.line == line && mistake.text.contains(expected));
            assert!(found, "{text:?}: {mistakes:?}");
        }
    }

    #[test]
    fn small_files_that_ask_for_much_are_refused() {
        let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for level in 1..10 {
            let item = format!("*a{},", level - 1);
            bomb.push_str(&format!("a{level}: &a{level} [{}]\n", item.repeat(10)));
        }
        assert!(parse(&bomb).err().unwrap()[0].text.contains("aliases counted"));
        let deep = format!("{}{}", "[".repeat(MAX_DEPTH + 1), "]".repeat(MAX_DEPTH + 1));
        assert!(parse(&deep).err().unwrap()[0].text.contains("levels deep"));
        assert!(parse(&deep[1..deep.len() - 1]).is_ok());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in any::<String>(), yaml in "[\\[\\]{}:,&*!?|>\"'\\-a1 \n\t\\\\<%#.]{0,60}") {
            for text in [&text, &yaml] {
                if let Err(mistakes) = parse(text) {
                    prop_assert!(!mistakes.is_empty());
                    // Two more than lines: a text's last line may be empty, and the parser stands after the end.
                    prop_assert!(mistakes.iter().all(|mistake| (1..=text.lines().count() + 2).contains(&mistake.line)));
                }
            }
        }
    }
}
