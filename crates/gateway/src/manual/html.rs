//! The API page: static HTML, made from the OpenAPI document. Works without script, and asks for nothing but its
//! stylesheet.

use serde_json::{Map, Value};

use super::parts::{self, curl, each, escape, prose, text};

/// The order in which the methods of a path stand.
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// The page.
pub(super) fn page(document: &Value) -> String {
    let title = text(&document["info"]["title"]);
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{title} API</title>\
         <link rel=\"stylesheet\" href=\"docs.css\"></head><body>\n\
         <a class=\"skip\" href=\"#content\">Skip to content</a>\n",
        title = escape(title),
    );
    out.push_str(&navigation(document));
    out.push_str(&format!(
        "<main id=\"content\"><h1>{} API <small>{}</small></h1>\n{}\
         <p>The same for programs: <a href=\"openapi.json\">openapi.json</a> (OpenAPI {}).</p>\n",
        escape(title),
        escape(text(&document["info"]["version"])),
        prose(text(&document["info"]["description"])),
        escape(text(&document["openapi"])),
    ));
    for tag in document["tags"].as_array().into_iter().flatten() {
        out.push_str(&group(document, tag));
    }
    out.push_str(&outbound(document));
    out.push_str(&failures(document));
    out.push_str("<section><h2 id=\"schemas\">Schemas</h2>\n");
    for (name, schema) in each(&document["components"]["schemas"]) {
        out.push_str(&format!("<article id=\"schema-{0}\"><h3>{0}</h3>\n", escape(name)));
        out.push_str(&prose(text(&schema["description"])));
        out.push_str(&parts::members(schema));
        out.push_str("</article>\n");
    }
    out.push_str("</section></main></body></html>\n");
    out
}

/// The operations of a tag: method, path, operation.
fn operations<'a>(document: &'a Value, tag: &'a str) -> impl Iterator<Item = (&'static str, &'a String, &'a Value)> {
    let all = each(&document["paths"])
        .flat_map(|(path, item)| METHODS.into_iter().map(move |method| (method, path, &item[method])));
    all.filter(move |(_, _, operation)| operation["tags"][0] == *tag)
}

fn navigation(document: &Value) -> String {
    let mut out = "<nav aria-label=\"Contents\"><ul>\n".to_owned();
    for tag in document["tags"].as_array().into_iter().flatten() {
        let name = text(&tag["name"]);
        out.push_str(&format!("<li><a href=\"#tag-{0}\">{0}</a><ul>\n", escape(name)));
        for (_, _, operation) in operations(document, name) {
            let (id, summary) = (text(&operation["operationId"]), text(&operation["summary"]));
            out.push_str(&format!("<li><a href=\"#{}\">{}</a></li>\n", escape(id), escape(summary)));
        }
        out.push_str("</ul></li>\n");
    }
    for (id, title) in [("posted", "What is posted"), ("errors", "Errors"), ("schemas", "Schemas")] {
        out.push_str(&format!("<li><a href=\"#{id}\">{title}</a></li>\n"));
    }
    out.push_str("</ul></nav>\n");
    out
}

fn group(document: &Value, tag: &Value) -> String {
    let name = text(&tag["name"]);
    let mut out = format!("<section><h2 id=\"tag-{0}\">{0}</h2>\n", escape(name));
    out.push_str(&prose(text(&tag["description"])));
    for (method, path, operation) in operations(document, name) {
        out.push_str(&format!(
            "<article id=\"{}\"><h3>{}</h3>\n<p class=\"call\"><b class=\"{method}\">{}</b> <code>{}</code></p>\n",
            escape(text(&operation["operationId"])),
            escape(text(&operation["summary"])),
            method.to_uppercase(),
            escape(path),
        ));
        out.push_str(&prose(text(&operation["description"])));
        out.push_str(&parts::parameters(document, &operation["parameters"]));
        out.push_str(&body(&operation["requestBody"]));
        out.push_str(&format!("<h4>Call</h4>\n<pre>{}</pre>\n", escape(&curl(method, path, operation))));
        out.push_str(&answers(document, &operation["responses"]));
        out.push_str("</article>\n");
    }
    out.push_str("</section>\n");
    out
}

fn body(body: &Value) -> String {
    let Some(content) = body["content"]["application/json"].as_object() else { return String::new() };
    let need = if body["required"] == true { "" } else { " (may be left out)" };
    let schema = content.get("schema").unwrap_or(&Value::Null);
    let mut out = format!("<h4>Body{need}: {}</h4>\n", parts::kind(schema));
    for (name, example) in content.get("examples").into_iter().flat_map(each) {
        out.push_str(&parts::example(&format!("Example: {name}"), &example["value"]));
    }
    if let Some(example) = content.get("example") {
        out.push_str(&parts::example("Example", example));
    }
    out
}

fn answers(document: &Value, responses: &Value) -> String {
    let mut out = "<h4>Answers</h4>\n<dl class=\"answers\">\n".to_owned();
    for (status, response) in each(responses) {
        let named = response["$ref"].as_str().and_then(|name| name.rsplit('/').next());
        let about = named.map_or(response, |name| &document["components"]["responses"][name]);
        out.push_str(&format!("<dt>{}</dt><dd>", escape(status)));
        match named {
            Some(name) => out.push_str(&format!("<a href=\"#error-{0}\">{0}</a>", escape(name))),
            None => {
                out.push_str(&prose(text(&about["description"])));
                for (media, content) in each(&about["content"]) {
                    out.push_str(&parts::example(media, &content["example"]));
                }
            }
        }
        out.push_str("</dd>\n");
    }
    out.push_str("</dl>\n");
    out
}

fn outbound(document: &Value) -> String {
    let mut out = "<section><h2 id=\"posted\">What is posted</h2>\n".to_owned();
    let none = Map::new();
    let entries = document["webhooks"].as_object().unwrap_or(&none);
    if let Some(first) = entries.values().next() {
        out.push_str(&prose(text(&first["post"]["description"])));
        out.push_str(&parts::parameters(document, &first["post"]["parameters"]));
        out.push_str(&answers(document, &first["post"]["responses"]));
    }
    for (event, entry) in entries {
        let summary = escape(text(&entry["post"]["summary"]));
        out.push_str(&format!("<article id=\"event-{0}\"><h3>{summary} <code>{0}</code></h3>\n", escape(event)));
        out.push_str(&body(&entry["post"]["requestBody"]));
        out.push_str("</article>\n");
    }
    out.push_str("</section>\n");
    out
}

fn failures(document: &Value) -> String {
    let mut out = "<section><h2 id=\"errors\">Errors</h2>\n".to_owned();
    for (name, response) in each(&document["components"]["responses"]) {
        out.push_str(&format!("<article id=\"error-{0}\"><h3>{0}</h3>\n", escape(name)));
        out.push_str(&prose(text(&response["description"])));
        for (code, example) in each(&response["content"]["application/json"]["examples"]) {
            out.push_str(&parts::example(code, &example["value"]));
        }
        out.push_str("</article>\n");
    }
    out.push_str("</section>\n");
    out
}
