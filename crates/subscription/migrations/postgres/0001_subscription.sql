-- Webhooks, their changes by version, and API tokens. Times are microseconds since the Unix epoch.

-- Facts about this store: `key_check` tells whether the secrets key in use is the one that it was written with.
CREATE TABLE meta (
    name text PRIMARY KEY,
    value bytea NOT NULL
);

-- One row: the version of the last change. Whoever changes a webhook takes the next version in the same transaction;
-- the lock on this row, held until the commit, makes the order of versions the order of commits.
CREATE TABLE configuration (
    id smallint PRIMARY KEY CHECK (id = 1),
    version bigint NOT NULL
);
INSERT INTO configuration (id, version) VALUES (1, 0);

-- Ids are handed out before the row is written, because a secret is sealed for its webhook's id.
CREATE SEQUENCE webhook_ids;

CREATE TABLE webhooks (
    id bigint PRIMARY KEY,
    -- Of the last change.
    version bigint NOT NULL,
    instance text NOT NULL,
    -- A tombstone: everything below is empty.
    deleted boolean NOT NULL DEFAULT false,
    name text NOT NULL,
    url text NOT NULL,
    kind text NOT NULL,
    events text[] NOT NULL,
    -- NULL: all projects.
    projects bigint[],
    allow_insecure boolean NOT NULL,
    active boolean NOT NULL,
    -- Sealed with the secrets key.
    secret bytea NOT NULL,
    secret_masked text NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);
CREATE UNIQUE INDEX webhooks_by_version ON webhooks (version);
CREATE INDEX webhooks_by_instance ON webhooks (instance, id) WHERE NOT deleted;

CREATE TABLE tokens (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- NULL: a publisher for all instances.
    instance text,
    name text NOT NULL,
    role text NOT NULL,
    projects bigint[] NOT NULL,
    -- SHA-256 of the text.
    hash bytea NOT NULL UNIQUE,
    prefix text NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint,
    -- The row stays, so that a text that was revoked does not come back with the next start.
    revoked_at bigint
);
CREATE INDEX tokens_by_instance ON tokens (instance, id) WHERE revoked_at IS NULL;
