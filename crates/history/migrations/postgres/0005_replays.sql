-- Replays: all deliveries of a webhook that have failed for good in a range of time get one more attempt each.
CREATE TABLE replays (
    id uuid PRIMARY KEY,
    instance text NOT NULL,
    webhook_id bigint NOT NULL,
    -- JSON: the chosen event types and wildcards; an empty list: all.
    events text NOT NULL,
    -- JSON: the projects that are meant; NULL: all.
    projects text,
    -- Meant is what failed from the one time on and before the other.
    from_at bigint NOT NULL,
    to_at bigint NOT NULL,
    -- 0: deliveries are being queued. 1: all are, and some are waited for. 2: it is over, and its items are being removed.
    -- 3: there is nothing left to do.
    phase smallint NOT NULL,
    -- Why it was cancelled; empty: it was not.
    reason text NOT NULL,
    -- How many were meant when it started; of them, how many it has given an attempt, and what those came to.
    total bigint NOT NULL,
    queued bigint NOT NULL,
    delivered bigint NOT NULL,
    failed bigint NOT NULL,
    -- The entry up to which history has been gone through.
    at_time bigint NOT NULL,
    at_delivery uuid NOT NULL,
    at_number integer NOT NULL,
    created_at bigint NOT NULL,
    created_by text NOT NULL,
    -- When it last got on.
    moved_at bigint NOT NULL,
    -- 0: not yet.
    ended_at bigint NOT NULL
);
-- One at a time for each webhook.
CREATE UNIQUE INDEX replays_running ON replays (webhook_id) WHERE phase < 2 AND reason = '';
CREATE INDEX replays_unfinished ON replays (id) WHERE phase < 3;
CREATE INDEX replays_by_webhook ON replays (instance, webhook_id, created_at, id);

-- The attempts that a replay has asked for, while it is not over: each delivery once.
CREATE TABLE replay_items (
    replay_id uuid NOT NULL,
    delivery_id uuid NOT NULL,
    number integer NOT NULL,
    -- Whether the attempt is still waited for.
    open boolean NOT NULL,
    PRIMARY KEY (replay_id, delivery_id)
);
CREATE INDEX replay_items_open ON replay_items (replay_id, delivery_id) WHERE open;
