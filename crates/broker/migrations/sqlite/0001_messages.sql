-- The queue. A row stays until its message is acknowledged; what is parked stays until somebody looks at it.
CREATE TABLE messages (
    id            INTEGER PRIMARY KEY,
    lane          INTEGER NOT NULL,
    due_at        INTEGER NOT NULL,           -- Unix microseconds; 0: at once
    size          INTEGER NOT NULL,           -- of the body, in bytes
    deliveries    INTEGER NOT NULL DEFAULT 0, -- how often a consumer gave it back
    message_id    BLOB    NOT NULL,
    traceparent   TEXT,
    parked_reason TEXT,
    body          BLOB    NOT NULL
) STRICT;

-- Carries `size`, so that opening a long queue counts it without reading the bodies.
CREATE INDEX messages_waiting ON messages (lane, due_at, id, size) WHERE parked_reason IS NULL;

-- One row, written while the disk is suspected to be full, to see whether it still is.
CREATE TABLE probe (id INTEGER PRIMARY KEY, at INTEGER NOT NULL) STRICT;
