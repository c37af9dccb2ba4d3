-- Every attempt, what still waits for one, and which event ids are taken. Times are microseconds since the Unix epoch,
-- ids are UUIDs in 16 bytes. See migrations/postgres for what the columns mean.

CREATE TABLE claims (
    instance TEXT NOT NULL,
    event_id BLOB NOT NULL,
    publish_id BLOB NOT NULL,
    claimed_at INTEGER NOT NULL,
    PRIMARY KEY (instance, event_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX claims_by_age ON claims (claimed_at);

CREATE TABLE bodies (
    instance TEXT NOT NULL,
    event_id BLOB NOT NULL,
    format TEXT NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (instance, event_id, format)
) STRICT;

CREATE TABLE pending (
    delivery_id BLOB NOT NULL PRIMARY KEY,
    instance TEXT NOT NULL,
    webhook_id INTEGER NOT NULL,
    event_id BLOB NOT NULL,
    event_type TEXT NOT NULL,
    project_id INTEGER NOT NULL,
    matched_at INTEGER NOT NULL,
    format TEXT NOT NULL,
    is_test INTEGER NOT NULL,
    number INTEGER NOT NULL,
    state INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    config_version INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    leased_until INTEGER NOT NULL,
    not_before INTEGER NOT NULL,
    since INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX pending_by_webhook ON pending (instance, webhook_id, since, delivery_id);
CREATE INDEX pending_by_time ON pending (instance, since, delivery_id);
CREATE INDEX pending_by_event ON pending (instance, event_id);
CREATE INDEX pending_held ON pending (webhook_id, since) WHERE state = 2;
CREATE INDEX pending_held_by_age ON pending (since) WHERE state = 2;

-- What lists do not show is at the end: a row's later columns are read only when they are asked for.
CREATE TABLE attempts (
    delivery_id BLOB NOT NULL,
    number INTEGER NOT NULL,
    instance TEXT NOT NULL,
    webhook_id INTEGER NOT NULL,
    event_id BLOB NOT NULL,
    event_type TEXT NOT NULL,
    project_id INTEGER NOT NULL,
    matched_at INTEGER NOT NULL,
    format TEXT NOT NULL,
    is_test INTEGER NOT NULL,
    status INTEGER NOT NULL,
    made INTEGER NOT NULL,
    final INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    duration_us INTEGER NOT NULL,
    response_code INTEGER NOT NULL,
    error_class TEXT NOT NULL,
    error TEXT NOT NULL,
    url TEXT NOT NULL,
    remote_address TEXT NOT NULL,
    response_truncated INTEGER NOT NULL,
    request_headers BLOB NOT NULL,
    response_headers BLOB NOT NULL,
    response_body BLOB NOT NULL,
    PRIMARY KEY (delivery_id, number)
) STRICT;
CREATE INDEX attempts_by_webhook ON attempts (instance, webhook_id, status, started_at, delivery_id, number);
CREATE INDEX attempts_by_time ON attempts (instance, status, started_at, delivery_id, number);
