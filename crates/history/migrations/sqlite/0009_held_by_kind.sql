-- See migrations/postgres for what they are for.
DROP INDEX pending_held;
DROP INDEX pending_timed;
CREATE INDEX pending_for_news ON pending (webhook_id, since) WHERE state = 2 AND hold_reason < 3;
CREATE INDEX pending_busy ON pending (webhook_id, due_at) WHERE state = 2 AND hold_reason = 3;
CREATE INDEX pending_timed ON pending (webhook_id, due_at) WHERE state = 2 AND hold_reason > 3 AND hold_reason <> 7;
