-- Every attempt, what still waits for one, and which event ids are taken. Times are microseconds since the Unix epoch.
-- All names are in the schema that `search_path` names.

-- The publish that an event id belongs to: an id is dispatched once.
CREATE TABLE claims (
    instance text NOT NULL,
    event_id uuid NOT NULL,
    publish_id uuid NOT NULL,
    claimed_at bigint NOT NULL,
    PRIMARY KEY (instance, event_id)
);
CREATE INDEX claims_by_age ON claims (claimed_at);

-- One copy of a body for all deliveries and attempts of its event. The instance is part of the key, because publishers
-- choose event ids: nobody may get at another instance's body by naming its event's id.
CREATE TABLE bodies (
    instance text NOT NULL,
    event_id uuid NOT NULL,
    format text NOT NULL,
    content bytea NOT NULL,
    PRIMARY KEY (instance, event_id, format)
);

-- One row for each delivery that waits for its first or next attempt.
CREATE TABLE pending (
    delivery_id uuid PRIMARY KEY,
    instance text NOT NULL,
    webhook_id bigint NOT NULL,
    event_id uuid NOT NULL,
    event_type text NOT NULL,
    project_id bigint NOT NULL,
    matched_at bigint NOT NULL,
    format text NOT NULL,
    is_test boolean NOT NULL,
    -- The attempt waited for; 0 only inside a transaction, for a row that is there to be locked.
    number integer NOT NULL,
    -- 0: with its event's message, 1: with a message of its own, 2: held here.
    state smallint NOT NULL,
    due_at bigint NOT NULL,
    -- The configuration version that a held row was held under, or last queued again under.
    config_version bigint NOT NULL,
    -- How often this attempt was queued again.
    generation integer NOT NULL,
    -- While a held row is being queued again: until when nobody else does it.
    leased_until bigint NOT NULL,
    -- Until when a row that was queued again and is held again must rest, if whoever held it knew less than was known here.
    not_before bigint NOT NULL,
    -- When it was matched, or its last attempt ended.
    since bigint NOT NULL
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);
CREATE INDEX pending_by_webhook ON pending (instance, webhook_id, since, delivery_id);
CREATE INDEX pending_by_time ON pending (instance, since, delivery_id);
CREATE INDEX pending_by_event ON pending (instance, event_id);
CREATE INDEX pending_held ON pending (webhook_id, since) WHERE state = 2;
CREATE INDEX pending_held_by_age ON pending (since) WHERE state = 2;

-- Attempts that were made, and ends without one.
CREATE TABLE attempts (
    delivery_id uuid NOT NULL,
    number integer NOT NULL,
    instance text NOT NULL,
    webhook_id bigint NOT NULL,
    event_id uuid NOT NULL,
    event_type text NOT NULL,
    project_id bigint NOT NULL,
    matched_at bigint NOT NULL,
    format text NOT NULL,
    is_test boolean NOT NULL,
    -- 1: failed, 2: delivered.
    status smallint NOT NULL,
    -- False: the delivery was ended without an attempt.
    made boolean NOT NULL,
    -- Whether the delivery ended with it.
    final boolean NOT NULL,
    started_at bigint NOT NULL,
    duration_us bigint NOT NULL,
    response_code integer NOT NULL,
    error_class text NOT NULL,
    error text NOT NULL,
    url text NOT NULL,
    remote_address text NOT NULL,
    response_truncated boolean NOT NULL,
    -- Headers: the encoded message HttpRequest or HttpResponse without its body.
    request_headers bytea NOT NULL,
    response_headers bytea NOT NULL,
    response_body bytea NOT NULL,
    PRIMARY KEY (delivery_id, number)
);
-- A list of all statuses merges one scan for each, so that two indexes serve every filter.
CREATE INDEX attempts_by_webhook ON attempts (instance, webhook_id, status, started_at, delivery_id, number);
CREATE INDEX attempts_by_time ON attempts (instance, status, started_at, delivery_id, number);

-- Faster than the default and smaller on disk; a server may be built without it.
DO $$
BEGIN
    ALTER TABLE bodies ALTER COLUMN content SET COMPRESSION lz4;
    ALTER TABLE attempts ALTER COLUMN response_body SET COMPRESSION lz4;
EXCEPTION
    WHEN feature_not_supported OR invalid_parameter_value THEN
        RAISE NOTICE 'lz4 is not built in; bodies are compressed with pglz';
END
$$;
