//! The schema of a database against the migrations of the program that opens it: brings it up to date, or says why the
//! program cannot work with it.
//!
//! While a new version is rolled out, and after a return to the old one, a program meets a schema that is newer than it
//! is. Most migrations only add, and it need not care. The row of the table `compatibility` says otherwise: a program
//! works with the schema if it knows the migration that `needs` names. A migration that older programs cannot live with
//! raises it (`UPDATE compatibility SET needs = 17`); see docs/upgrading.md.

use sqlx::migrate::{MigrateError, Migrator};

/// Why a program cannot work with a schema. Where the database is, the caller adds.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// It is older than the program, which may not bring it up to date.
    #[error(
        "its schema is not up to date: it lacks migration {lacks} of this program; start once without --no-migrate"
    )]
    Old {
        /// The first migration that has not been applied.
        lacks: i64,
    },
    /// It is newer, and not for this program.
    #[error(
        "its schema has version {found}, for programs that know migration {needs}; this one knows {known}: start a newer \
         program"
    )]
    New {
        /// The newest migration that was applied.
        found: i64,
        /// The migration that a program has to know.
        needs: i64,
        /// The newest that this program knows.
        known: i64,
    },
    /// It could not be brought up to date.
    #[error("its schema cannot be brought up to date: {0}")]
    Migration(#[source] MigrateError),
    /// It could not be read.
    #[error(transparent)]
    Read(#[from] sqlx::Error),
}

/// A connection to a database with a schema.
pub trait Connection: Send {
    /// Applies migrations that have not been applied.
    fn apply(&mut self, migrations: &Migrator) -> impl Future<Output = Result<(), MigrateError>> + Send;
    /// Whether the schema has a table of this name.
    fn has_table(&mut self, name: &'static str) -> impl Future<Output = Result<bool, sqlx::Error>> + Send;
    /// The numbers that a statement gives, a row each.
    fn numbers(&mut self, statement: &'static str) -> impl Future<Output = Result<Vec<i64>, sqlx::Error>> + Send;
}

#[cfg(feature = "postgres")]
impl Connection for sqlx::PgConnection {
    async fn apply(&mut self, migrations: &Migrator) -> Result<(), MigrateError> {
        // `run` does not compile in a future that has to be `Send`.
        migrations.run_direct(None, self, false).await
    }

    async fn has_table(&mut self, name: &'static str) -> Result<bool, sqlx::Error> {
        sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL").bind(name).fetch_one(self).await
    }

    async fn numbers(&mut self, statement: &'static str) -> Result<Vec<i64>, sqlx::Error> {
        sqlx::query_scalar(statement).fetch_all(self).await
    }
}

#[cfg(feature = "sqlite")]
impl Connection for sqlx::SqliteConnection {
    async fn apply(&mut self, migrations: &Migrator) -> Result<(), MigrateError> {
        // `run` does not compile in a future that has to be `Send`.
        migrations.run_direct(None, self, false).await
    }

    async fn has_table(&mut self, name: &'static str) -> Result<bool, sqlx::Error> {
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = ?)")
            .bind(name)
            .fetch_one(self)
            .await
    }

    async fn numbers(&mut self, statement: &'static str) -> Result<Vec<i64>, sqlx::Error> {
        sqlx::query_scalar(statement).fetch_all(self).await
    }
}

/// Makes sure that a program with these `migrations` can work with the schema. With `migrate` those that are missing are
/// applied; a schema that has more is left as it is.
///
/// # Errors
/// A schema that is too old (without `migrate`) or too new, a migration that fails, a database that does.
pub async fn prepare(
    connection: &mut impl Connection,
    migrations: &Migrator,
    migrate: bool,
) -> Result<(), SchemaError> {
    if migrate {
        // Before anything is changed; and below, in case that a newer program came between.
        Found::read(connection).await?.admits(migrations)?;
        let mut additional = Migrator::with_migrations(migrations.iter().cloned().collect());
        additional.set_ignore_missing(true);
        connection.apply(&additional).await.map_err(SchemaError::Migration)?;
    }
    let found = Found::read(connection).await?;
    found.admits(migrations)?;
    found.has_all(migrations)
}

/// What a schema says of itself.
struct Found {
    applied: Vec<i64>,
    needs: i64,
}

impl Found {
    async fn read(connection: &mut impl Connection) -> Result<Self, sqlx::Error> {
        if !connection.has_table("_sqlx_migrations").await? {
            return Ok(Self { applied: Vec::new(), needs: 0 });
        }
        let applied = connection.numbers("SELECT version FROM _sqlx_migrations WHERE success").await?;
        let needs = if connection.has_table("compatibility").await? {
            connection.numbers("SELECT needs FROM compatibility").await?
        } else {
            Vec::new()
        };
        Ok(Self { applied, needs: needs.into_iter().max().unwrap_or_default() })
    }

    fn admits(&self, migrations: &Migrator) -> Result<(), SchemaError> {
        if self.needs == 0 || migrations.version_exists(self.needs) {
            return Ok(());
        }
        let found = self.applied.iter().copied().max().unwrap_or_default();
        let known = migrations.iter().map(|migration| migration.version).max().unwrap_or_default();
        Err(SchemaError::New { found, needs: self.needs, known })
    }

    fn has_all(&self, migrations: &Migrator) -> Result<(), SchemaError> {
        let lacks = migrations.iter().find(|migration| !self.applied.contains(&migration.version));
        lacks.map_or(Ok(()), |migration| Err(SchemaError::Old { lacks: migration.version }))
    }
}
