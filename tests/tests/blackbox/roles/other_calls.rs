//! The remaining REST calls: how they are made, and what they do when they are permitted.

use blackbox::rest::{Answer, Rest};
use hyper::Method;
use proto::v1::GetCallerRequest;
use serde_json::{Value, json};
use tonic::Code;

use super::{
    callers::{self, Caller, Instance},
    cells::{Pair, check_status},
    standing::{Hook, Past, PastReplay, Standing},
    world::{NEVER, WEBHOOKS, World, ensure},
};

pub(super) const TOKENS: &str = "/api/v1/tokens";

/// A call that is about no webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Webhooks,
    /// History of all webhooks.
    AllEntries,
    /// The same, with a mistake in the query.
    AllEntriesMistaken,
    Export,
    /// The same, with a mistake in the query.
    ExportMistaken,
    Delivery(Past),
    Retry(Past),
    Replay(PastReplay),
    CancelReplay(PastReplay),
    Catalogue,
    Projects,
    Tokens,
    MakeToken,
    /// A token for all instances.
    MakeTokenForAll,
    /// A token of a role that there is not.
    MakeTokenMistaken,
    /// A token with a number for its role.
    MakeTokenUnreadable,
    Revoke(WhoseToken),
    Settings,
    PutSettings,
    /// Settings that there are not.
    PutSettingsMistaken,
    /// Clearing history without saying so.
    ClearUnconfirmed,
    Clear,
    OpenApi,
    Docs,
    DocsStyle,
    NoSuchAddress,
    NoSuchMethod,
}

/// Whose a token is that is to be revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WhoseToken {
    OfDefault,
    OfOther,
    OfAll,
    Unused,
    NoNumber,
}

impl Call {
    /// Method and path, as the OpenAPI document has them; `None`: they must not be in it.
    pub(super) fn route(self) -> Option<(&'static str, &'static str)> {
        Some(match self {
            Self::Webhooks => ("get", "/webhooks"),
            Self::AllEntries | Self::AllEntriesMistaken => ("get", "/webhooks/deliveries"),
            Self::Export | Self::ExportMistaken => ("get", "/webhooks/deliveries/export"),
            Self::Delivery(_) => ("get", "/webhooks/deliveries/{id}"),
            Self::Retry(_) => ("post", "/webhooks/deliveries/{id}/retry"),
            Self::Replay(_) => ("get", "/webhooks/{id}/replays/{replay_id}"),
            Self::CancelReplay(_) => ("delete", "/webhooks/{id}/replays/{replay_id}"),
            Self::Catalogue => ("get", "/webhooks/events"),
            Self::Projects => ("get", "/projects"),
            Self::Tokens => ("get", "/tokens"),
            Self::MakeToken | Self::MakeTokenForAll | Self::MakeTokenMistaken | Self::MakeTokenUnreadable => {
                ("post", "/tokens")
            }
            Self::Revoke(_) => ("delete", "/tokens/{id}"),
            Self::Settings => ("get", "/webhooks/settings"),
            Self::PutSettings | Self::PutSettingsMistaken => ("put", "/webhooks/settings"),
            Self::Clear | Self::ClearUnconfirmed => ("delete", "/webhooks/deliveries"),
            Self::OpenApi => ("get", "/openapi.json"),
            Self::Docs => ("get", "/docs"),
            Self::DocsStyle => ("get", "/docs.css"),
            Self::NoSuchAddress | Self::NoSuchMethod => return None,
        })
    }

    pub(super) async fn check(
        self,
        world: &World,
        standing: &Standing,
        caller: Caller,
        expected: u16,
    ) -> Result<(), String> {
        let rest = world.rest(caller);
        match self {
            Self::Webhooks => check_list(&rest, WEBHOOKS, expected).await,
            Self::AllEntries => check_list(&rest, &format!("{WEBHOOKS}/deliveries"), expected).await,
            Self::AllEntriesMistaken => check_list(&rest, &format!("{WEBHOOKS}/deliveries?per_page=7"), expected).await,
            Self::Export => check_export(world, standing, caller, expected).await,
            Self::ExportMistaken => {
                check_status(&rest.get(&format!("{WEBHOOKS}/deliveries/export?format=xml")).await, expected)
            }
            Self::Delivery(past) => check_delivery(&rest, standing, past, expected).await,
            Self::Retry(past) => check_retry(&rest, standing, past, expected).await,
            Self::Replay(past) => check_replay(&rest, standing, (Method::GET, past), expected).await,
            Self::CancelReplay(past) => check_replay(&rest, standing, (Method::DELETE, past), expected).await,
            Self::Catalogue => check_list(&rest, &format!("{WEBHOOKS}/events"), expected).await,
            Self::Projects => check_list(&rest, "/api/v1/projects", expected).await,
            Self::Tokens => check_list(&rest, TOKENS, expected).await,
            Self::MakeToken => check_token(world, caller, json!({"role": "member"}), expected).await,
            Self::MakeTokenForAll => {
                check_token(world, caller, json!({"role": "publisher", "all_instances": true}), expected).await
            }
            Self::MakeTokenMistaken => check_token(world, caller, json!({"role": "king"}), expected).await,
            Self::MakeTokenUnreadable => check_token(world, caller, json!({"role": 1}), expected).await,
            Self::Revoke(whose) => check_revoke(world, caller, whose, expected).await,
            Self::Settings => check_settings(&rest.get(SETTINGS).await, expected),
            Self::PutSettings => check_settings(&put_settings(&rest, 90).await, expected),
            Self::PutSettingsMistaken => check_status(&put_settings(&rest, 8).await, expected),
            Self::ClearUnconfirmed => {
                check_status(&rest.delete(&format!("{WEBHOOKS}/deliveries?confirm=yes")).await, expected)?;
                check_standing(world, standing, caller.instance(), true).await
            }
            Self::Clear => {
                let path = format!("{WEBHOOKS}/deliveries?confirm=clear-all-delivery-history");
                check_status(&rest.delete(&path).await, expected)?;
                // Others clear at the same time.
                if expected == 204 { check_standing(world, standing, caller.instance(), false).await } else { Ok(()) }
            }
            Self::OpenApi => check_status(&rest.get("/api/v1/openapi.json").await, expected),
            Self::Docs => check_status(&rest.get("/api/v1/docs").await, expected),
            Self::DocsStyle => check_status(&rest.get("/api/v1/docs.css").await, expected),
            Self::NoSuchAddress => check_status(&rest.get("/api/v1/nothing").await, expected),
            Self::NoSuchMethod => check_status(&rest.send(Method::PUT, WEBHOOKS, None).await, expected),
        }
    }
}

const SETTINGS: &str = "/api/v1/webhooks/settings";

async fn put_settings(rest: &Rest, days: i64) -> Answer {
    let body = json!({"retention_days": days}).to_string();
    rest.send(Method::PUT, SETTINGS, Some(("application/json", body.into()))).await
}

fn check_settings(answer: &Answer, expected: u16) -> Result<(), String> {
    check_status(answer, expected)?;
    let shown = answer.json["result"]["retention_days"] == 90 && answer.json["result"]["plan"].is_string();
    ensure(shown == (expected == 200), || format!("answered {}", answer.json))
}

/// Whether an instance still has its history.
async fn check_standing(world: &World, standing: &Standing, instance: Instance, expected: bool) -> Result<(), String> {
    let past = if instance == Instance::Default { Past::Of(Hook::Own, 1) } else { Past::Of(Hook::OtherOwn, 1) };
    let found = world.admin(instance).get(&format!("{WEBHOOKS}/deliveries/{}", standing.delivery(past))).await;
    ensure((found.status == 200) == expected, || format!("afterwards a delivery answers {}", found.status))
}

async fn check_list(rest: &Rest, path: &str, expected: u16) -> Result<(), String> {
    let answer = rest.get(path).await;
    check_status(&answer, expected)?;
    ensure(answer.json["result"].is_array() == (expected == 200), || format!("answered {}", answer.json))
}

/// Whoever may export gets its own instance's entries and no others.
async fn check_export(world: &World, standing: &Standing, caller: Caller, expected: u16) -> Result<(), String> {
    let answer = world.rest(caller).get(&format!("{WEBHOOKS}/deliveries/export")).await;
    check_status(&answer, expected)?;
    if expected != 200 {
        return Ok(());
    }
    let (own, foreign) = (Past::Of(Hook::Own, 1), Past::Of(Hook::OtherOwn, 1));
    let (seen, hidden) = if caller.instance() == Instance::Default { (own, foreign) } else { (foreign, own) };
    let entries = answer.json.as_array().map(Vec::as_slice).unwrap_or_default();
    let has = |past| entries.iter().any(|entry| entry["delivery_id"] == standing.delivery(past));
    ensure(has(seen) && !has(hidden), || format!("{} entries, not only its own", entries.len()))
}

async fn check_delivery(rest: &Rest, standing: &Standing, past: Past, expected: u16) -> Result<(), String> {
    let send = async |id: &str| -> Answer { rest.get(&format!("{WEBHOOKS}/deliveries/{id}")).await };
    let id = standing.delivery(past);
    let answer = send(id).await;
    check_status(&answer, expected)?;
    if expected == 200 {
        return ensure(answer.json["result"]["id"] == id, || format!("answered {}", answer.json));
    }
    // What is no UUID cannot be the id of anything hidden.
    if expected == 404 && past != Past::NoUuid {
        let never = standing.delivery(Past::Never);
        return Pair { hidden: id, never }.check(&answer, &send(never).await);
    }
    Ok(())
}

async fn check_replay(
    rest: &Rest,
    standing: &Standing,
    (method, past): (Method, PastReplay),
    expected: u16,
) -> Result<(), String> {
    let (hook, id) = standing.replay(past);
    let send = async |id: &str| -> Answer {
        rest.send(method.clone(), &format!("{WEBHOOKS}/{hook}/replays/{id}"), None).await
    };
    let answer = send(id).await;
    check_status(&answer, expected)?;
    if expected == 200 {
        let result = &answer.json["result"];
        return ensure(result["id"] == id && result["webhook_id"] == hook, || format!("answered {}", answer.json));
    }
    if expected == 404 && matches!(past, PastReplay::Whole(_) | PastReplay::Part(_)) {
        let never = standing.replay(PastReplay::NoReplay(past.hook())).1;
        return Pair { hidden: id, never }.check(&answer, &send(never).await);
    }
    Ok(())
}

async fn check_retry(rest: &Rest, standing: &Standing, past: Past, expected: u16) -> Result<(), String> {
    let send = async |id: &str| -> Answer { rest.act(&format!("{WEBHOOKS}/deliveries/{id}/retry")).await };
    let id = standing.delivery(past);
    let answer = send(id).await;
    check_status(&answer, expected)?;
    // What is no UUID cannot be the id of anything hidden.
    if expected == 404 && past != Past::NoUuid {
        let never = standing.delivery(Past::Never);
        return Pair { hidden: id, never }.check(&answer, &send(never).await);
    }
    Ok(())
}

/// The token of this name in the list of those of an instance.
pub(super) async fn listed(world: &World, instance: Instance, name: &str) -> Option<Value> {
    let rest = world.admin(instance);
    let mut page = json!(1);
    while let Some(number) = page.as_i64() {
        let answer = rest.get(&format!("{TOKENS}?page={number}")).await;
        assert_eq!(answer.status, 200, "{}", answer.json);
        let mut tokens = answer.json["result"].as_array().expect("a list").iter();
        if let Some(found) = tokens.find(|token| token["name"] == name) {
            return Some(found.clone());
        }
        page = answer.json["next_page"].clone();
    }
    None
}

async fn check_token(world: &World, caller: Caller, mut body: Value, expected: u16) -> Result<(), String> {
    let name = world.name();
    body["name"] = json!(name);
    let answer = world.rest(caller).post(TOKENS, body.clone()).await;
    check_status(&answer, expected)?;
    for instance in Instance::ALL {
        let made = expected == 201 && instance == caller.instance();
        let found = listed(world, instance, &name).await;
        ensure(found.is_some() == made, || format!("made of {body} in {instance:?}: {found:?}"))?;
        let Some(token) = found else { continue };
        let owner = if body["all_instances"] == true { Value::Null } else { json!(instance.name()) };
        ensure(token["instance"] == owner, || format!("made for another instance: {token}"))?;
        let text = answer.json["result"]["token"].as_str();
        ensure(text.is_some() && works(world, text).await, || format!("cannot be used: {}", answer.json))?;
    }
    Ok(())
}

/// Whether a token stands for somebody.
pub(super) async fn works(world: &World, text: Option<&str>) -> bool {
    match world.product.grpc(text).webhooks().get_caller(GetCallerRequest {}).await {
        Ok(_) => true,
        Err(status) if status.code() == Code::Unauthenticated => false,
        Err(status) => panic!("whether a token works: {status}"),
    }
}

/// A token for a cell that revokes it: its id as it stands in paths, and its text if there is such a token.
pub(super) async fn token_to_revoke(world: &World, whose: WhoseToken) -> (String, Option<String>) {
    let (instance, mut body) = match whose {
        WhoseToken::OfDefault => (Instance::Default, json!({"role": "project_admin", "projects": [1]})),
        WhoseToken::OfOther => (Instance::Other, json!({"role": "project_admin", "projects": [1]})),
        WhoseToken::OfAll => (Instance::Default, json!({"role": "publisher", "all_instances": true})),
        WhoseToken::Unused => return (NEVER.to_owned(), None),
        WhoseToken::NoNumber => return ("none".to_owned(), None),
    };
    body["name"] = json!(world.name());
    let (id, text) = callers::make(&world.admin(instance), body).await;
    (id.to_string(), Some(text))
}

async fn check_revoke(world: &World, caller: Caller, whose: WhoseToken, expected: u16) -> Result<(), String> {
    let (id, text) = token_to_revoke(world, whose).await;
    let rest = world.rest(caller);
    let send = async |id: &str| -> Answer { rest.delete(&format!("{TOKENS}/{id}")).await };
    let answer = send(&id).await;
    check_status(&answer, expected)?;
    if let Some(text) = &text {
        let works = works(world, Some(text)).await;
        ensure(works == (expected != 204), || format!("afterwards the token works: {works}"))?;
    }
    if expected == 404 && text.is_some() {
        return Pair { hidden: &id, never: NEVER }.check(&answer, &send(NEVER).await);
    }
    Ok(())
}
