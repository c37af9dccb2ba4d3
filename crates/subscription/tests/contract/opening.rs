//! Opening a store: its schema is brought up to date, or it is refused with the fix.

use blackbox::servers;
use subscription::store::{Page, WebhookFilter, open_postgres};
use url::Url;

use crate::{
    backend::{Backend, create, reach, set_active, webhooks},
    postgres::run,
};

pub(crate) async fn what_was_written_is_there_after_opening_again(backend: &impl Backend) {
    let written = create(&*backend.store().await, "acme", None).await;
    for migrate in [true, false] {
        let store = backend.open(migrate).await.unwrap();
        assert_eq!(store.webhook(&reach("acme", None), written.id).await.unwrap().as_ref(), Some(&written));
    }
}

/// What the first version of the program wrote is there after the schema was brought up to date.
pub(crate) async fn what_the_first_version_wrote_is_kept(backend: &impl Backend) {
    backend.install_first_schema().await;
    let store = backend.store().await;
    let kept = store.webhook(&reach("acme", None), 1).await.unwrap().unwrap();
    assert_eq!((kept.name.as_str(), kept.version, kept.created_at.as_micros()), ("Old CI", 1, 5));
    assert_eq!(kept.endpoint_since, kept.updated_at);
    assert_eq!((kept.headers.len(), kept.filter.len(), kept.inactive_reason.as_str()), (0, 0, ""));
    let filter = WebhookFilter { text: Some("old ci".into()), ..WebhookFilter::default() };
    let page = Page { offset: 0, limit: 10 };
    assert_eq!(store.webhooks(&reach("acme", None), &filter, page).await.unwrap().items, std::slice::from_ref(&kept));
    let log = store.log(&reach("acme", None), 1, page).await.unwrap().unwrap();
    assert_eq!((log.items.len(), log.total), (0, 0));
    let changed = webhooks(store.changes(0, 10).await.unwrap());
    assert_eq!(changed.last().unwrap().webhook.as_ref().unwrap().credentials, [7, 8]);
    assert!(kept.active && set_active(&*store, &reach("acme", None), 1, false).await.unwrap().is_some());
    assert_eq!(store.log(&reach("acme", None), 1, page).await.unwrap().unwrap().total, 1);
}

/// The number of this program's newest migration.
fn newest() -> usize {
    std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/postgres")).unwrap().count()
}

fn refusal<T>(opened: Result<T, subscription::store::OpenError>) -> String {
    opened.err().expect("the store is refused").to_string()
}

pub(crate) async fn an_old_schema_is_refused_without_migration(backend: &impl Backend) {
    backend.store().await;
    backend.execute("DELETE FROM _sqlx_migrations").await;
    let refusal = refusal(backend.open(false).await);
    assert!(refusal.contains("it lacks migration 1 of this program; start once without --no-migrate"), "{refusal}");
}

/// What a newer program adds is not in the way of this one, which is there beside it or comes back after it.
pub(crate) async fn a_newer_schema_is_worked_with(backend: &impl Backend) {
    let written = create(&*backend.store().await, "acme", None).await;
    backend.execute(NEWER).await;
    for migrate in [true, false] {
        let store = backend.open(migrate).await.unwrap();
        assert_eq!(store.webhook(&reach("acme", None), written.id).await.unwrap().as_ref(), Some(&written));
        let other = create(&*store, "acme", None).await;
        assert!(set_active(&*store, &reach("acme", None), other.id, false).await.unwrap().is_some());
    }
}

const NEWER: &str = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
     VALUES (999, 'newer', TRUE, '', 0); \
     ALTER TABLE webhooks ADD COLUMN newer integer NOT NULL DEFAULT 5; \
     ALTER TABLE configuration ADD COLUMN newer integer NOT NULL DEFAULT 5";

pub(crate) async fn a_schema_for_newer_programs_is_refused(backend: &impl Backend) {
    backend.store().await;
    backend.execute(NEWER).await;
    backend.execute("UPDATE compatibility SET needs = 999").await;
    for migrate in [true, false] {
        let refusal = refusal(backend.open(migrate).await);
        let expected = format!(
            "its schema has version 999, for programs that know migration 999; this one knows {}: start a newer program",
            newest()
        );
        assert!(refusal.contains(&expected), "{refusal}");
    }
}

/// Services of several machines start at once; a file has one process.
#[tokio::test]
async fn several_that_open_at_once_all_succeed() {
    let database = servers::database().await;
    let (first, second, third) = tokio::join!(database.open(true), database.open(true), database.open(true));
    let webhook = create(&*first.unwrap(), "acme", None).await;
    for other in [second.unwrap(), third.unwrap()] {
        assert_eq!(other.changes(0, 10).await.unwrap().version, webhook.version);
    }
    database.remove().await;
}

#[tokio::test]
async fn an_empty_database_is_refused_without_migration() {
    let database = servers::database().await;
    assert!(refusal(database.open(false).await).contains("start once without --no-migrate"));
    database.remove().await;
}

#[tokio::test]
async fn the_role_needs_no_more_than_its_schema() {
    let database = servers::database().await;
    let role = format!("limited_{}", std::process::id());
    run(&database, format!("CREATE ROLE {role} LOGIN; CREATE SCHEMA subscription AUTHORIZATION {role}")).await;
    let mut url: Url = database.url.parse().unwrap();
    url.set_username(&role).unwrap();
    let store = open_postgres(url.as_str(), true).await.unwrap();
    create(&*store, "acme", None).await;
    drop(store);
    // A role belongs to the server and would outlive the database.
    run(&database, format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
    database.remove().await;
}

#[tokio::test]
async fn errors_name_the_address_without_its_password_and_the_fix() {
    let nobody = "postgres://testmo:hunter2@127.0.0.1:1/webhooks";
    let unreachable = refusal(open_postgres(nobody, true).await);
    assert!(unreachable.contains("cannot open postgres://testmo@127.0.0.1:1/webhooks: "), "{unreachable}");
    assert!(unreachable.contains("check database.url") && !unreachable.contains("hunter2"), "{unreachable}");
    for text in ["", "mysql://root:hunter2@localhost/x", "postgres://testmo:hunter2@localhost:port/x"] {
        let refusal = refusal(open_postgres(text, true).await);
        assert!(refusal.contains("database.url must look like") && !refusal.contains("hunter2"), "{refusal}");
    }
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_file_that_cannot_be_opened_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing/subscription.db");
    let error = refusal(subscription::store::open_sqlite(&path, true).await);
    assert!(error.contains("missing/subscription.db: ") && error.contains("check data.dir"), "{error}");
    let path = folder.path().join("subscription.db");
    let error = refusal(subscription::store::open_sqlite(&path, false).await);
    assert!(error.contains("check data.dir") && !path.exists(), "{error}");
}
