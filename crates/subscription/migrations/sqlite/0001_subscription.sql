-- Webhooks, their changes by version, and API tokens. Times are microseconds since the Unix epoch, lists are JSON.

-- Facts about this store: `key_check` tells whether the secrets key in use is the one that it was written with.
CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- One row: the version of the last change. Whoever changes a webhook takes the next version in the same transaction.
-- Ids are handed out before the row is written, because a secret is sealed for its webhook's id.
CREATE TABLE configuration (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL,
    last_webhook_id INTEGER NOT NULL
) STRICT;
INSERT INTO configuration (id, version, last_webhook_id) VALUES (1, 0, 0);

CREATE TABLE webhooks (
    id INTEGER PRIMARY KEY,
    -- Of the last change.
    version INTEGER NOT NULL,
    instance TEXT NOT NULL,
    -- A tombstone: everything below is empty.
    deleted INTEGER NOT NULL DEFAULT 0,
    name TEXT NOT NULL,
    url TEXT NOT NULL,
    kind TEXT NOT NULL,
    events TEXT NOT NULL,
    -- NULL: all projects.
    projects TEXT,
    allow_insecure INTEGER NOT NULL,
    active INTEGER NOT NULL,
    -- Sealed with the secrets key.
    secret BLOB NOT NULL,
    secret_masked TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX webhooks_by_version ON webhooks (version);
CREATE INDEX webhooks_by_instance ON webhooks (instance, id) WHERE NOT deleted;

CREATE TABLE tokens (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- NULL: a publisher for all instances.
    instance TEXT,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    projects TEXT NOT NULL,
    -- SHA-256 of the text.
    hash BLOB NOT NULL UNIQUE,
    prefix TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    -- The row stays, so that a text that was revoked does not come back with the next start.
    revoked_at INTEGER
) STRICT;
CREATE INDEX tokens_by_instance ON tokens (instance, id) WHERE revoked_at IS NULL;
