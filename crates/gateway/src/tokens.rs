//! `/tokens`: who may use the API.

use axum::{Json, extract::State, http::StatusCode};
use proto::v1;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    Services,
    body::{Fields, NoBody},
    caller::{SystemAdmin, answer},
    error::Failure,
    openapi::{Operation, Route, Tag, schema},
    page::{Page, Single, some_text, time},
    path::TokenId,
    query::{NoQuery, Query},
    read,
};

/// A token, without its text.
#[derive(Serialize)]
pub(crate) struct TokenJson {
    id: i64,
    name: String,
    role: String,
    projects: Vec<i64>,
    /// Null: all instances.
    instance: Option<String>,
    prefix: String,
    created_at: Option<String>,
    /// Null: never.
    expires_at: Option<String>,
}

/// A token that has just been made.
#[derive(Serialize)]
pub(crate) struct NewTokenJson {
    #[serde(flatten)]
    about: TokenJson,
    /// Its text, shown this once.
    token: String,
}

impl From<v1::Token> for TokenJson {
    fn from(token: v1::Token) -> Self {
        Self {
            id: token.id,
            name: token.name,
            role: token.role,
            projects: token.projects,
            instance: some_text(token.instance),
            prefix: token.prefix,
            created_at: time(token.created_at),
            expires_at: time(token.expires_at),
        }
    }
}

/// `GET /tokens`
async fn list(
    State(services): State<Services>,
    SystemAdmin(caller): SystemAdmin,
    query: Query,
) -> Result<Json<Page<TokenJson>>, Failure> {
    let query = query.page()?;
    let request = v1::ListTokensRequest { page: query.page, per_page: query.per_page };
    let found = answer(services.webhooks().list_tokens(caller.request(request))).await?;
    Ok(Json(Page::new(query, found.total, found.tokens.into_iter().map(TokenJson::from).collect())))
}

/// `POST /tokens`
async fn create(
    State(services): State<Services>,
    SystemAdmin(caller): SystemAdmin,
    _: NoQuery,
    mut fields: Fields,
) -> Result<(StatusCode, Json<Single<NewTokenJson>>), Failure> {
    let request = v1::CreateTokenRequest {
        name: fields.required("name", read::text),
        role: fields.required("role", read::text),
        projects: fields.given("projects", read::ids_or_null).flatten().unwrap_or_default(),
        expires_at: fields.given("expires_at", read::time_or_null).flatten(),
        all_instances: fields.given("all_instances", read::flag).unwrap_or_default(),
    };
    fields.finish()?;
    let made = answer(services.webhooks().create_token(caller.request(request))).await?;
    let about = made.token.ok_or_else(|| Failure::incomplete("token"))?.into();
    Ok((StatusCode::CREATED, Json(Single { result: NewTokenJson { about, token: made.text } })))
}

/// `DELETE /tokens/{id}`
async fn revoke(
    State(services): State<Services>,
    SystemAdmin(caller): SystemAdmin,
    TokenId(id): TokenId,
    _: NoQuery,
    _: NoBody,
) -> Result<StatusCode, Failure> {
    answer(services.webhooks().revoke_token(caller.request(v1::RevokeTokenRequest { id }))).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) fn routes() -> Vec<Route> {
    let mut made = token();
    made["token"] = json!("tmw_3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    let list_docs = Operation::new(Tag::Tokens, "listTokens", "List tokens")
        .describe("The tokens of the instance, oldest first, without their text.")
        .answers_page("Token", json!([token()]));
    let minimal = json!({"name": "deploy", "role": "system_admin"});
    let full =
        json!({"name": "deploy", "role": "project_admin", "projects": [1, 2], "expires_at": "2027-01-01T00:00:00Z"});
    let create_docs = Operation::new(Tag::Tokens, "createToken", "Create a token")
        .describe("The answer holds the text of the token; it is not shown again.")
        .takes("TokenToCreate", true, &[("minimal", minimal), ("full", full)])
        .answers(
            201,
            "The new token, with its text.",
            schema::single(schema::named("NewToken")),
            json!({"result": made}),
        );
    let revoke_docs = Operation::new(Tag::Tokens, "revokeToken", "Revoke a token")
        .describe("It stops working at once. Takes no body.")
        .of("token", schema::id("The id of a token."), 3)
        .reads_body()
        .answers_nothing(204, "It is revoked.");
    vec![
        Route::get("/tokens", list, list_docs),
        Route::post("/tokens", create, create_docs),
        Route::delete("/tokens/{id}", revoke, revoke_docs),
    ]
}

fn token() -> Value {
    json!({
        "id": 3, "name": "deploy", "role": "project_admin", "projects": [1, 2], "instance": "acme", "prefix": "tmw_3q2",
        "created_at": "2026-11-23T08:15:00Z", "expires_at": "2027-01-01T00:00:00Z",
    })
}

fn members() -> Vec<(&'static str, Value)> {
    vec![
        ("id", schema::id("Its id.")),
        ("name", schema::text("For reference only; the change log names it.")),
        ("role", schema::text("`system_admin`, `project_admin`, `member` or `publisher`.")),
        ("projects", schema::list(schema::id("The id of a project."), "What a `project_admin` administers.")),
        ("instance", schema::or_null(schema::text("The instance; null: a publisher for all instances."))),
        ("prefix", schema::text("The first characters of its text, to tell tokens apart.")),
        ("created_at", schema::time("When it was made.")),
        ("expires_at", schema::or_null(schema::time("When it stops working; null: never."))),
    ]
}

pub(crate) fn schemas() -> Vec<(&'static str, Value)> {
    let mut new = members();
    new.push(("token", schema::text("Its text, shown this once.")));
    let name =
        schema::with(schema::bounded("For reference only; no control characters.", 1, 255), "pattern", schema::VISIBLE);
    let roles = ["system_admin", "project_admin", "member", "publisher"];
    let expires = schema::time("When it is to stop working, in the future; null and left out: never.");
    let projects =
        schema::list(schema::id("The id of a project."), "At least one for a `project_admin`, none for others.");
    let everywhere = "Whether it is for all instances: only with role `publisher`, and only made by a `system_admin` \
                      of the instance `default`.";
    let to_create = schema::request(
        &["name", "role"],
        [
            ("name", name),
            ("role", schema::choice(roles, "What it may do.")),
            ("projects", schema::or_null(projects)),
            ("expires_at", schema::or_null(expires)),
            ("all_instances", schema::flag(everywhere)),
        ],
    );
    vec![
        ("Token", schema::described(schema::object(members()), "A token, without its text.")),
        ("NewToken", schema::described(schema::object(new), "A token that has just been made.")),
        ("TokenToCreate", schema::described(to_create, "The token to make.")),
    ]
}
