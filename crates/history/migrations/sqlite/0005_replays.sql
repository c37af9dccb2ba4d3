-- See migrations/postgres for what the tables and columns mean.
CREATE TABLE replays (
    id BLOB NOT NULL PRIMARY KEY,
    instance TEXT NOT NULL,
    webhook_id INTEGER NOT NULL,
    events TEXT NOT NULL,
    projects TEXT,
    from_at INTEGER NOT NULL,
    to_at INTEGER NOT NULL,
    phase INTEGER NOT NULL,
    reason TEXT NOT NULL,
    total INTEGER NOT NULL,
    queued INTEGER NOT NULL,
    delivered INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    at_time INTEGER NOT NULL,
    at_delivery BLOB NOT NULL,
    at_number INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    moved_at INTEGER NOT NULL,
    ended_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX replays_running ON replays (webhook_id) WHERE phase < 2 AND reason = '';
CREATE INDEX replays_unfinished ON replays (id) WHERE phase < 3;
CREATE INDEX replays_by_webhook ON replays (instance, webhook_id, created_at, id);

CREATE TABLE replay_items (
    replay_id BLOB NOT NULL,
    delivery_id BLOB NOT NULL,
    number INTEGER NOT NULL,
    open INTEGER NOT NULL,
    PRIMARY KEY (replay_id, delivery_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX replay_items_open ON replay_items (replay_id, delivery_id) WHERE open;
