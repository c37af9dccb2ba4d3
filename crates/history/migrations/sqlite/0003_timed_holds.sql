-- See migrations/postgres for what they are for.
CREATE INDEX pending_timed ON pending (webhook_id, due_at) WHERE state = 2 AND hold_reason >= 3;
CREATE INDEX pending_queued_again ON pending (webhook_id) WHERE state = 1 AND generation > 0;
