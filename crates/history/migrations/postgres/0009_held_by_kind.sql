-- What is held is found by what it is held for: an index for each kind, so that none is searched for among the others.
-- News of its webhook (hold_reason 1, 2), a turn with a slow endpoint (3), a time (4 to 6); pending_failing is that of 7.
DROP INDEX pending_held;
DROP INDEX pending_timed;
CREATE INDEX pending_for_news ON pending (webhook_id, since) WHERE state = 2 AND hold_reason < 3;
CREATE INDEX pending_busy ON pending (webhook_id, due_at) WHERE state = 2 AND hold_reason = 3;
CREATE INDEX pending_timed ON pending (webhook_id, due_at) WHERE state = 2 AND hold_reason > 3 AND hold_reason <> 7;
