//! `/tokens`: who may use the API.

use axum::{Json, extract::State, http::StatusCode};
use proto::v1;
use serde::Serialize;

use crate::{
    Services,
    body::{Fields, NoBody},
    caller::{Caller, answer},
    error::Failure,
    page::{Page, Single, some_text, time},
    path::TokenId,
    query::{NoQuery, Query},
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
pub(crate) async fn list(
    State(services): State<Services>,
    caller: Caller,
    query: Query,
) -> Result<Json<Page<TokenJson>>, Failure> {
    let query = query.page()?;
    let request = v1::ListTokensRequest { page: query.page, per_page: query.per_page };
    let found = answer(services.webhooks().list_tokens(caller.request(request))).await?;
    Ok(Json(Page::new(query, found.total, found.tokens.into_iter().map(TokenJson::from).collect())))
}

/// `POST /tokens`
pub(crate) async fn create(
    State(services): State<Services>,
    caller: Caller,
    _: NoQuery,
    mut fields: Fields,
) -> Result<(StatusCode, Json<Single<NewTokenJson>>), Failure> {
    let request = v1::CreateTokenRequest {
        name: fields.text("name"),
        role: fields.text("role"),
        projects: fields.ids("projects").unwrap_or_default(),
        expires_at: fields.time("expires_at"),
        all_instances: fields.flag("all_instances"),
    };
    fields.finish()?;
    let made = answer(services.webhooks().create_token(caller.request(request))).await?;
    let about = made.token.ok_or_else(|| Failure::incomplete("token"))?.into();
    Ok((StatusCode::CREATED, Json(Single { result: NewTokenJson { about, token: made.text } })))
}

/// `DELETE /tokens/{id}`
pub(crate) async fn revoke(
    State(services): State<Services>,
    caller: Caller,
    TokenId(id): TokenId,
    _: NoQuery,
    _: NoBody,
) -> Result<StatusCode, Failure> {
    answer(services.webhooks().revoke_token(caller.request(v1::RevokeTokenRequest { id }))).await?;
    Ok(StatusCode::NO_CONTENT)
}
