//! A product with two instances, and the webhooks, projects and tokens that the cells of the tables are about.

use std::sync::{
    Mutex,
    atomic::{AtomicI64, Ordering},
};

use blackbox::{
    grpc::Grpc,
    jwt,
    product::{Mode, Product},
    random,
    receiver::Receiver,
    rest::Rest,
    webhooks,
};
use proto::v1::DeleteProjectRequest;
use serde_json::{Value, json};

use super::callers::{Caller, Instance, Tokens};

pub(super) const WEBHOOKS: &str = "/api/v1/webhooks";
/// An id that no webhook and no token ever gets.
pub(super) const NEVER: &str = "900000001";

/// Whose a webhook is: its scope and instance, and whether there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// Project 1.
    Own,
    /// Projects 1 and 2.
    Both,
    /// Projects 1 and 3.
    Mixed,
    /// Project 3.
    Foreign,
    /// All projects.
    Everyone,
    /// None any more: its only project was deleted.
    Empty,
    /// Project 1 of the instance `other`.
    OtherOwn,
    /// All projects of the instance `other`.
    OtherEveryone,
    /// Project 1, and deleted.
    Deleted,
    /// An id that was never used.
    Never,
    /// An id that cannot be one.
    NoNumber,
}

/// The rows of a table about webhooks: a value for each [`Whose`], so that none can be left out.
#[derive(Clone, Copy)]
pub(super) struct Rows<T> {
    pub(super) own: T,
    pub(super) both: T,
    pub(super) mixed: T,
    pub(super) foreign: T,
    pub(super) everyone: T,
    pub(super) empty: T,
    pub(super) other_own: T,
    pub(super) other_everyone: T,
    pub(super) deleted: T,
    pub(super) never: T,
    pub(super) no_number: T,
}

impl<T> Rows<T> {
    pub(super) fn each(self) -> [(Whose, T); 11] {
        [
            (Whose::Own, self.own),
            (Whose::Both, self.both),
            (Whose::Mixed, self.mixed),
            (Whose::Foreign, self.foreign),
            (Whose::Everyone, self.everyone),
            (Whose::Empty, self.empty),
            (Whose::OtherOwn, self.other_own),
            (Whose::OtherEveryone, self.other_everyone),
            (Whose::Deleted, self.deleted),
            (Whose::Never, self.never),
            (Whose::NoNumber, self.no_number),
        ]
    }
}

impl Whose {
    pub(super) fn instance(self) -> Instance {
        match self {
            Self::OtherOwn | Self::OtherEveryone => Instance::Other,
            _ => Instance::Default,
        }
    }

    /// The scope that it is made with.
    pub(super) fn projects(self) -> Value {
        match self {
            Self::Own | Self::OtherOwn | Self::Deleted | Self::Never | Self::NoNumber | Self::Empty => json!([1]),
            Self::Both => json!([1, 2]),
            Self::Mixed => json!([1, 3]),
            Self::Foreign => json!([3]),
            Self::Everyone | Self::OtherEveryone => Value::Null,
        }
    }
}

/// A product with its callers.
pub(super) struct World {
    pub(super) product: Product,
    pub(super) receiver: Receiver,
    tokens: Tokens,
    /// What is taken from here is new.
    counter: AtomicI64,
    /// The events that cells have published, and for whom.
    pub(super) published: Mutex<Vec<(Instance, String)>>,
}

impl World {
    pub(super) async fn start(mode: Mode) -> Self {
        let secret = random::hex40();
        let file = jwt::key_file(&secret);
        let product = Product::prepare(mode).set("auth.jwt_key_file", &file).start().await;
        let tokens = Tokens::make(&product, &secret).await;
        Self {
            product,
            receiver: Receiver::start().await,
            tokens,
            counter: AtomicI64::new(1_000),
            published: Mutex::default(),
        }
    }

    pub(super) fn token(&self, caller: Caller) -> Option<&str> {
        self.tokens.of(caller)
    }

    pub(super) fn rest(&self, caller: Caller) -> Rest {
        self.product.rest(self.token(caller))
    }

    pub(super) fn grpc(&self, caller: Caller) -> Grpc {
        self.product.grpc(self.token(caller))
    }

    /// Who may see all of an instance.
    pub(super) fn admin(&self, instance: Instance) -> Rest {
        self.rest(instance.admin())
    }

    /// A number that grows: a project that nobody has told of, a version, a part of a name.
    pub(super) fn number(&self) -> i64 {
        self.counter.fetch_add(1, Ordering::Relaxed)
    }

    /// A name that nothing else has.
    pub(super) fn name(&self) -> String {
        format!("made-{}", self.number())
    }

    /// What to create; nothing is sent to its URL but where a test publishes.
    pub(super) fn draft(&self, projects: &Value) -> Value {
        let mut body = webhooks::generic(&self.receiver.url("/table"));
        body["name"] = json!(self.name());
        body["projects"] = projects.clone();
        body
    }

    /// A webhook of its own for a cell; its id as it stands in paths.
    pub(super) async fn make(&self, whose: Whose, active: bool) -> String {
        match whose {
            Whose::Never => return NEVER.to_owned(),
            Whose::NoNumber => return "none".to_owned(),
            _ => {}
        }
        let project = self.number();
        let admin = self.admin(whose.instance());
        let scope = if whose == Whose::Empty { json!([project]) } else { whose.projects() };
        let mut body = self.draft(&scope);
        body["active"] = json!(active);
        let id = webhooks::create(&admin, body).await.id;
        match whose {
            Whose::Empty => self.delete_project(Instance::Default, project).await,
            Whose::Deleted => webhooks::delete(&admin, id).await,
            _ => {}
        }
        id.to_string()
    }

    /// Tells that a project was deleted.
    pub(super) async fn delete_project(&self, instance: Instance, project_id: i64) {
        let request = DeleteProjectRequest { instance: instance.name().to_owned(), project_id, version: self.number() };
        let answer = self.grpc(Caller::PublisherOfAll).instances().delete_project(request).await;
        answer.expect("a publisher for all instances tells of a deleted project");
    }

    /// A webhook as whoever may see all of its instance sees it.
    pub(super) async fn seen(&self, instance: Instance, id: &str) -> Seen {
        let answer = self.admin(instance).get(&format!("{WEBHOOKS}/{id}")).await;
        Seen { status: answer.status, webhook: answer.json["result"].clone() }
    }
}

/// A webhook at some time, or that there was none.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Seen {
    pub(super) status: u16,
    pub(super) webhook: Value,
}

impl Seen {
    pub(super) fn version(&self) -> i64 {
        self.webhook["version"].as_i64().unwrap_or_default()
    }
}

/// An error with the text, unless the condition holds.
pub(super) fn ensure(condition: bool, text: impl FnOnce() -> String) -> Result<(), String> {
    if condition { Ok(()) } else { Err(text()) }
}
