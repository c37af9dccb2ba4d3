//! The REST API against its tables: every cell, and that no route is without a row.

use std::collections::BTreeSet;

use blackbox::{product::Mode, rest::Rest};
use serde_json::Value;

use super::{
    callers::{CALLERS, Caller},
    cells::{Outcome, Pair, check_status},
    other_table, scope_table,
    standing::Standing,
    webhook_calls::Call,
    webhook_table,
    world::{NEVER, WEBHOOKS, Whose, World, ensure},
};

/// Rows of the three tables.
const ROWS: usize = 11 * webhook_table::TABLE.len() + 7 * scope_table::TABLE.len() + other_table::TABLE.len();

pub(super) async fn rest_answers_as_the_tables_say(mode: Mode) {
    let world = World::start(mode).await;
    let standing = Standing::make(&world).await;
    let mut outcome = Outcome::default();
    for (call, rows) in webhook_table::TABLE {
        for (whose, row) in rows.each() {
            let cell = |(caller, expected)| {
                (format!("{call:?} {whose:?} {caller:?}"), check(&world, call, whose, caller, expected))
            };
            outcome.run(Caller::ALL.into_iter().zip(row).map(cell).collect()).await;
        }
    }
    for (call, rows) in scope_table::TABLE {
        for (scope, row) in rows.each() {
            let cell = |(caller, expected)| {
                let name = format!("{call:?} to {scope:?} {caller:?}");
                (name, call.check(&world, scope.clone(), caller, expected))
            };
            outcome.run(Caller::ALL.into_iter().zip(row).map(cell).collect()).await;
        }
    }
    for (call, row) in other_table::TABLE {
        let cell =
            |(caller, expected)| (format!("{call:?} {caller:?}"), call.check(&world, &standing, caller, expected));
        outcome.run(Caller::ALL.into_iter().zip(row).map(cell).collect()).await;
    }
    outcome.settle(ROWS * CALLERS);
}

async fn check(world: &World, call: Call, whose: Whose, caller: Caller, expected: u16) -> Result<(), String> {
    let id = world.make(whose, call.wants_active()).await;
    let before = world.seen(whose.instance(), &id).await;
    let rest = world.rest(caller);
    let answer = call.send(&rest, &id).await;
    let after = world.seen(whose.instance(), &id).await;
    check_status(&answer, expected)?;
    if expected < 400 {
        return call.check_done(&before, &after, &answer);
    }
    ensure(before == after, || format!("the refused call has changed {before:?} to {after:?}"))?;
    if expected == 404 && whose != Whose::NoNumber {
        Pair { hidden: &id, never: NEVER }.check(&answer, &call.send(&rest, NEVER).await)?;
    }
    Ok(())
}

/// The routes of the OpenAPI document, which the product makes from its table of routes.
async fn documented(rest: &Rest) -> BTreeSet<(String, String)> {
    const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
    let document = rest.get("/api/v1/openapi.json").await;
    assert_eq!(document.status, 200, "{}", document.json);
    assert_eq!(document.json["servers"][0]["url"], "/api/v1", "what paths are relative to");
    let paths = document.json["paths"].as_object().expect("paths").iter();
    let of_path = |(path, item): (&String, &Value)| {
        let methods = item.as_object().expect("operations by method").keys();
        let methods: Vec<_> = methods.filter(|key| METHODS.contains(&key.as_str())).cloned().collect();
        let path = path.clone();
        methods.into_iter().map(move |method| (method, path.clone()))
    };
    paths.flat_map(of_path).collect()
}

pub(super) async fn every_route_is_in_the_tables(mode: Mode) {
    let product = blackbox::product::Product::start(mode).await;
    let of_webhooks = webhook_table::TABLE.iter().map(|(call, _)| call.route());
    let of_scopes = scope_table::TABLE.iter().map(|(call, _)| call.route());
    let of_others = other_table::TABLE.iter().filter_map(|(call, _)| call.route());
    let tables: BTreeSet<_> = of_webhooks
        .chain(of_scopes)
        .chain(of_others)
        .map(|(method, path)| (method.to_owned(), path.to_owned()))
        .collect();
    let documented = documented(&product.rest(None)).await;
    let missing: Vec<_> = documented.difference(&tables).collect();
    assert!(missing.is_empty(), "routes without a row in the tables of roles: {missing:?}");
    let unknown: Vec<_> = tables.difference(&documented).collect();
    assert!(unknown.is_empty(), "rows of routes that the product does not document: {unknown:?}");
}

/// Requests with mistakes in them: whoever may not see a webhook learns nothing from what is complained about.
pub(super) async fn mistakes_tell_nothing_of_what_is_hidden(mode: Mode) {
    let world = World::start(mode).await;
    let mut outcome = Outcome::default();
    for whose in [Whose::Mixed, Whose::Foreign, Whose::Everyone, Whose::Empty, Whose::OtherOwn, Whose::Deleted] {
        let id = world.make(whose, true).await;
        for caller in [Caller::Admin12, Caller::Jwt12, Caller::Other12] {
            if (whose, caller) == (Whose::OtherOwn, Caller::Other12) {
                continue;
            }
            let rest = world.rest(caller);
            let cells =
                MISTAKES.map(|mistake| (format!("{mistake:?} {whose:?} {caller:?}"), alike(&rest, mistake, &id)));
            outcome.run(cells.into()).await;
        }
    }
    outcome.settle((6 * 3 - 1) * MISTAKES.len());
}

/// Method, what follows the id in the path, a condition, and a body.
type Mistake = (&'static str, &'static str, Option<(&'static str, &'static str)>, Option<&'static str>);

const MISTAKES: [Mistake; 19] = [
    ("PATCH", "", None, Some(r#"{"colour": "red"}"#)),
    ("PATCH", "", None, Some(r#"{"name": ""}"#)),
    ("PATCH", "", None, Some(r#"{"url": "http://10.0.0.1/", "type": "slack"}"#)),
    ("PATCH", "", None, Some(r#"{"version": 1}"#)),
    ("PATCH", "", None, Some("{")),
    ("PATCH", "", Some(("if-match", "*")), Some("{}")),
    ("PATCH", "", Some(("if-match", "\"1\", \"2\"")), Some("{}")),
    ("PATCH", "", Some(("if-match", "nonsense")), Some("{}")),
    ("PATCH", "?colour=red", None, Some("{}")),
    ("GET", "", Some(("if-none-match", "*")), None),
    ("DELETE", "", Some(("if-match", "W/\"1\"")), None),
    ("POST", "/secret", None, Some(r#"{"overlap_hours": 100}"#)),
    ("POST", "/activate", None, Some(r#"{"now": true}"#)),
    ("POST", "/explain", None, Some(r#"{"event": "run.exploded"}"#)),
    ("POST", "/explain", None, Some(r#"{"payload": {}}"#)),
    ("GET", "/deliveries?status=lost", None, None),
    ("POST", "/replay", None, Some("{}")),
    ("POST", "/replay", None, Some(r#"{"from": "2020-01-01T00:00:00Z", "events": ["run.exploded"]}"#)),
    ("GET", "/replays?page=0", None, None),
];

async fn alike(rest: &Rest, mistake: Mistake, id: &str) -> Result<(), String> {
    let (method, rest_of_path, condition, body) = mistake;
    let rest = condition.map_or_else(|| rest.clone(), |(name, value)| rest.clone().with_header(name, value));
    let send = async |id: &str| {
        let method = method.parse().expect("a method");
        let body = body.map(|body| ("application/json", body.into()));
        rest.send(method, &format!("{WEBHOOKS}/{id}{rest_of_path}"), body).await
    };
    let (hidden, never) = (send(id).await, send(NEVER).await);
    ensure(hidden.status >= 400, || format!("answered {hidden:?}"))?;
    Pair { hidden: id, never: NEVER }.check(&hidden, &never)
}
