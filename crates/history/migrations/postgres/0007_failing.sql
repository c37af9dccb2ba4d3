-- What is held because its endpoint keeps failing (hold_reason 7) is taken in turns of its own: it is apart from what is
-- held until a time for other reasons, so that neither is searched for among the other.
DROP INDEX pending_timed;
CREATE INDEX pending_timed ON pending (webhook_id, due_at) WHERE state = 2 AND hold_reason >= 3 AND hold_reason <> 7;
CREATE INDEX pending_failing ON pending (webhook_id, due_at) WHERE state = 2 AND hold_reason = 7;
