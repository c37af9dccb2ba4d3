//! API tokens: the list, a new one with its text shown once, revoking.

use askama::Template;
use axum::{
    Router,
    extract::{Query, State},
    http::StatusCode,
    response::Response,
    routing::get,
};
use proto::{error::ErrorCode, v1};
use serde::Deserialize;

use super::{
    choice::Choice,
    form::{Fields, Submitted},
    page::{Frame, Section, html, see_other},
    paging::{Paging, address, number},
    text::Text,
    trouble::{Shown, Trouble, sentence},
    visitor::Visitor,
    when::{When, from_field, when},
};
use crate::{
    Services,
    caller::answer,
    error::Failure,
    path::{self, TokenId},
};

const PER_PAGE: i32 = 25;
/// With their titles, the most usual first.
const ROLES: [(&str, &str); 4] = [
    ("project_admin", "Project administrator"),
    ("system_admin", "System administrator"),
    ("publisher", "Publisher"),
    ("member", "Member"),
];

#[derive(Template)]
#[template(path = "tokens.html")]
struct TokensPage {
    frame: Frame,
    tokens: Vec<Row>,
    paging: Paging,
    error: Option<Text>,
    name: String,
    roles: Vec<Choice>,
    projects: String,
    expires: String,
    proof: String,
}

struct Row {
    id: i64,
    name: Text,
    role: Text,
    projects: String,
    prefix: Text,
    created: Option<When>,
    expires: Option<When>,
    everywhere: bool,
}

#[derive(Template)]
#[template(path = "token_made.html")]
struct MadePage {
    frame: Frame,
    name: Text,
    text: String,
}

#[derive(Template)]
#[template(path = "revoke.html")]
struct RevokePage {
    frame: Frame,
    id: i64,
    name: Text,
    proof: String,
}

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    page: String,
    #[serde(default)]
    done: String,
}

pub(super) fn routes() -> Router<Services> {
    Router::new().route("/tokens", get(show).post(create)).route("/tokens/{id}/revoke", get(ask_revoke).post(revoke))
}

/// `GET /tokens`
async fn show(
    State(services): State<Services>,
    visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Result<Response, Trouble> {
    visitor.must_be_system_admin()?;
    let page = page(&services, &visitor, number(&asked.page), &Fields::default(), None).await?;
    Ok(html(StatusCode::OK, &TokensPage { frame: page.frame.after(&asked.done), ..page }))
}

async fn page(
    services: &Services,
    visitor: &Visitor,
    page: i32,
    fields: &Fields,
    error: Option<Text>,
) -> Result<TokensPage, Trouble> {
    let request = v1::ListTokensRequest { page, per_page: PER_PAGE };
    let found = answer(services.webhooks().list_tokens(visitor.caller.request(request))).await?;
    Ok(TokensPage {
        frame: Frame::new("API tokens", Section::Tokens, visitor),
        tokens: found.tokens.into_iter().map(row).collect(),
        paging: Paging::new(page, PER_PAGE, found.total, address("/tokens", &[])),
        error,
        name: fields.text("name").to_owned(),
        roles: ROLES.map(|(value, title)| Choice::new(value, title, fields.text("role"))).into(),
        projects: fields.text("projects").to_owned(),
        expires: fields.text("expires_at").to_owned(),
        proof: visitor.proof.clone(),
    })
}

fn row(token: v1::Token) -> Row {
    let title = ROLES.into_iter().find(|row| row.0 == token.role).map_or(token.role.as_str(), |row| row.1);
    Row {
        id: token.id,
        role: Text::line(title),
        projects: token.projects.iter().map(i64::to_string).collect::<Vec<_>>().join(", "),
        prefix: Text::line(token.prefix),
        created: when(token.created_at),
        expires: when(token.expires_at),
        everywhere: token.instance.is_empty(),
        name: Text::line(token.name),
    }
}

/// `POST /tokens`
async fn create(
    State(services): State<Services>,
    Submitted { visitor, fields }: Submitted,
) -> Result<Response, Trouble> {
    visitor.must_be_system_admin()?;
    let made = match asked(&fields) {
        Ok(request) => answer(services.webhooks().create_token(visitor.caller.request(request))).await,
        Err(failure) => Err(failure),
    };
    match made {
        Ok(made) => {
            let frame = Frame::new("Token created", Section::Tokens, &visitor);
            let name = Text::line(made.token.map(|token| token.name).unwrap_or_default());
            Ok(html(StatusCode::CREATED, &MadePage { frame, name, text: made.text }))
        }
        Err(failure) if matches!(failure.code(), ErrorCode::Validation | ErrorCode::Malformed) => {
            let error = Some(Text::line(sentence(failure.message())));
            Ok(html(StatusCode::UNPROCESSABLE_ENTITY, &page(&services, &visitor, 1, &fields, error).await?))
        }
        Err(failure) => Err(failure.into()),
    }
}

fn asked(fields: &Fields) -> Result<v1::CreateTokenRequest, Failure> {
    let wrong = |text: String| Failure::new(ErrorCode::Validation, text);
    let ids = fields.text("projects").split([',', ' ']).filter(|text| !text.is_empty());
    let id =
        |text| path::number(text).ok_or_else(|| wrong(format!("`{text}` is no project id; ids are integers from 1")));
    let expires_at =
        from_field(fields.text("expires_at")).map_err(|()| wrong("Expires must be a day and a time".into()))?;
    Ok(v1::CreateTokenRequest {
        name: fields.text("name").trim().to_owned(),
        role: fields.text("role").to_owned(),
        projects: ids.map(id).collect::<Result<_, _>>()?,
        expires_at,
        all_instances: false,
    })
}

/// `GET /tokens/{id}/revoke`
async fn ask_revoke(
    State(services): State<Services>,
    visitor: Visitor,
    Shown(TokenId(id)): Shown<TokenId>,
) -> Result<Response, Trouble> {
    visitor.must_be_system_admin()?;
    let name = name(&services, &visitor, id).await?;
    let frame = Frame::new("Revoke token", Section::Tokens, &visitor);
    Ok(html(StatusCode::OK, &RevokePage { frame, id, name: Text::line(name), proof: visitor.proof }))
}

/// The name of a token; there is no question about a single one.
async fn name(services: &Services, visitor: &Visitor, id: i64) -> Result<String, Failure> {
    let per_page = 100;
    for page in 1.. {
        let request = visitor.caller.request(v1::ListTokensRequest { page, per_page });
        let found = answer(services.webhooks().list_tokens(request)).await?;
        if let Some(token) = found.tokens.into_iter().find(|token| token.id == id) {
            return Ok(token.name);
        }
        if i64::from(page) * i64::from(per_page) >= found.total {
            break;
        }
    }
    Err(Failure::new(ErrorCode::NotFound, format!("there is no token {id}")))
}

/// `POST /tokens/{id}/revoke`
async fn revoke(
    State(services): State<Services>,
    Shown(TokenId(id)): Shown<TokenId>,
    Submitted { visitor, .. }: Submitted,
) -> Result<Response, Trouble> {
    visitor.must_be_system_admin()?;
    answer(services.webhooks().revoke_token(visitor.caller.request(v1::RevokeTokenRequest { id }))).await?;
    Ok(see_other("/tokens?done=revoked"))
}
