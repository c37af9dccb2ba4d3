//! Parts of the API page: text with its escapes, tables of members and parameters, examples, curl lines. What comes
//! out of here is escaped.

use serde_json::Value;

/// A text of the document; empty where there is none.
pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The members of an object; none where it is no object.
pub(super) fn each(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// Text as HTML, for elements and for attributes in quotes.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// Paragraphs, with the two marks of Markdown that descriptions use: code and bold.
pub(super) fn prose(text: &str) -> String {
    let paragraphs = text.split("\n\n").filter(|paragraph| !paragraph.is_empty());
    paragraphs.map(|paragraph| format!("<p>{}</p>\n", inline(paragraph))).collect()
}

fn inline(text: &str) -> String {
    let mut out = String::new();
    for (index, part) in text.split('`').enumerate() {
        if index % 2 == 1 {
            out.push_str(&format!("<code>{}</code>", escape(part)));
            continue;
        }
        for (index, part) in part.split("**").enumerate() {
            let part = escape(part);
            out.push_str(&if index % 2 == 1 { format!("<strong>{part}</strong>") } else { part });
        }
    }
    out
}

/// An example that can be opened; nothing where there is none.
pub(super) fn example(title: &str, value: &Value) -> String {
    let text = match value {
        Value::Null => return String::new(),
        Value::String(text) => text.clone(),
        value => format!("{value:#}"),
    };
    format!("<details><summary>{}</summary><pre>{}</pre></details>\n", escape(title), escape(&text))
}

/// What a value of this schema is, in a few words.
pub(super) fn kind(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|name| name.rsplit('/').next()) {
        return format!("<a href=\"#schema-{0}\">{0}</a>", escape(name));
    }
    if let Some(options) = schema["anyOf"].as_array() {
        return options.iter().map(kind).collect::<Vec<_>>().join(" or ");
    }
    let kinds = match &schema["type"] {
        Value::String(kind) => vec![kind.as_str()],
        Value::Array(kinds) => kinds.iter().map(text).collect(),
        _ => vec!["any"],
    };
    let mut out = escape(&kinds.join(" or "));
    if let Some(format) = schema["format"].as_str() {
        out.push_str(&format!(" ({})", escape(format)));
    }
    if schema["items"].is_object() {
        out.push_str(&format!(" of {}", kind(&schema["items"])));
    }
    if schema["additionalProperties"].is_object() {
        out.push_str(&format!(" with values of {}", kind(&schema["additionalProperties"])));
    }
    out.push_str(&bounds(schema));
    out
}

fn bounds(schema: &Value) -> String {
    let mut said: Vec<String> = Vec::new();
    if let Some(names) = schema["enum"].as_array() {
        let names: Vec<String> = names.iter().map(|name| format!("<code>{}</code>", escape(&plain(name)))).collect();
        said.push(format!("one of {}", names.join(", ")));
    }
    for (keyword, words) in [
        ("const", "always"),
        ("minimum", "from"),
        ("maximum", "to"),
        ("minLength", "characters: at least"),
        ("maxLength", "characters: at most"),
        ("minItems", "items: at least"),
        ("maxItems", "items: at most"),
        ("maxProperties", "members: at most"),
        ("default", "default"),
    ] {
        let bound = &schema[keyword];
        if !bound.is_null() && bound != &Value::from(i64::MAX) {
            said.push(format!("{words} {}", escape(&plain(bound))));
        }
    }
    if said.is_empty() { String::new() } else { format!("; {}", said.join(", ")) }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The members of an object, as a table; objects within it follow as tables of their own.
pub(super) fn members(schema: &Value) -> String {
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().map(text).collect();
    let rows: String = each(&schema["properties"])
        .map(|(name, member)| {
            let need = if required.contains(&name.as_str()) { "" } else { " <i>optional</i>" };
            let inner = ["properties", "anyOf"].iter().any(|keyword| member.get(*keyword).is_some());
            let inner = if inner { inside(member) } else { String::new() };
            row(name, need, &kind(member), &format!("{}{inner}", prose(text(&member["description"]))))
        })
        .collect();
    table("Member", &rows)
}

fn inside(schema: &Value) -> String {
    let options = schema["anyOf"].as_array().into_iter().flatten();
    options.chain([schema]).filter(|schema| schema.get("properties").is_some()).map(members).collect()
}

/// The parameters of an operation, as a table.
pub(super) fn parameters(document: &Value, parameters: &Value) -> String {
    let rows: String = parameters
        .as_array()
        .into_iter()
        .flatten()
        .map(|parameter| {
            let named = parameter["$ref"].as_str().and_then(|name| name.rsplit('/').next());
            let parameter = named.map_or(parameter, |name| &document["components"]["parameters"][name]);
            let place = format!(" <i>{}</i>", escape(text(&parameter["in"])));
            let description = prose(text(&parameter["description"]));
            row(text(&parameter["name"]), &place, &kind(&parameter["schema"]), &description)
        })
        .collect();
    table("Parameter", &rows)
}

fn row(name: &str, note: &str, kind: &str, description: &str) -> String {
    format!(
        "<tr><th scope=\"row\"><code>{}</code>{note}</th><td>{kind}</td><td>{description}</td></tr>\n",
        escape(name)
    )
}

fn table(what: &str, rows: &str) -> String {
    if rows.is_empty() {
        return String::new();
    }
    format!(
        "<div class=\"wide\" tabindex=\"0\"><table><thead><tr><th scope=\"col\">{what}</th><th scope=\"col\">Kind</th>\
         <th scope=\"col\">Meaning</th></tr></thead><tbody>\n{rows}</tbody></table></div>\n"
    )
}

/// A line for the shell that makes this call.
pub(super) fn curl(method: &str, path: &str, operation: &Value) -> String {
    let mut line = "curl".to_owned();
    if method != "get" {
        line.push_str(&format!(" -X {}", method.to_uppercase()));
    }
    let mut path = path.to_owned();
    let mut headers = Vec::new();
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let example = plain(&parameter["example"]);
        match text(&parameter["in"]) {
            "path" => path = path.replace(&format!("{{{}}}", text(&parameter["name"])), &example),
            "header" => headers.push(format!("{}: {example}", text(&parameter["name"]))),
            _ => {}
        }
    }
    line.push_str(&format!(" \"$SERVER/api/v1{path}\""));
    if operation.get("security").is_none() {
        line.push_str(" \\\n  -H \"Authorization: Bearer $TOKEN\"");
    }
    let json = &operation["requestBody"]["content"]["application/json"];
    if json.is_object() {
        headers.push("Content-Type: application/json".to_owned());
    }
    for header in headers {
        line.push_str(&format!(" \\\n  -H {}", quoted(&header)));
    }
    if let Some((_, example)) = each(&json["examples"]).next() {
        line.push_str(&format!(" \\\n  -d {}", quoted(&example["value"].to_string())));
    }
    line
}

/// A word for the shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_gets_out_of_its_place() {
        let bad = "<script>\"'&`<b>`**<i>**";
        let out = prose(bad);
        assert_eq!(out, "<p>&lt;script&gt;&quot;&#39;&amp;<code>&lt;b&gt;</code><strong>&lt;i&gt;</strong></p>\n");
        let schema =
            json!({"properties": {"<x>": {"type": "<y>", "description": "<z>", "enum": ["<e>"], "const": "<c>"}}});
        for html in [members(&schema), example("<t>", &json!({"<m>": "<v>"})), kind(&json!({"$ref": "#/<r>"}))] {
            for letter in ["x", "y", "z", "e", "c", "t", "m", "v", "r"] {
                assert!(!html.contains(&format!("<{letter}>")), "{html}");
            }
        }
    }

    #[test]
    fn curl_lines_are_safe_for_the_shell() {
        let operation = json!({
            "parameters": [
                {"name": "id", "in": "path", "example": 7}, {"name": "If-Match", "in": "header", "example": "\"42\""},
            ],
            "requestBody": {"content": {"application/json": {"examples": {"a": {"value": {"name": "it's"}}}}}},
        });
        let expected = "curl -X PATCH \"$SERVER/api/v1/webhooks/7\" \\\n  -H \"Authorization: Bearer $TOKEN\" \\\n  \
                        -H 'If-Match: \"42\"' \\\n  -H 'Content-Type: application/json' \\\n  -d '{\"name\":\"it'\\''s\"}'";
        assert_eq!(curl("patch", "/webhooks/{id}", &operation), expected);
    }
}
