-- What is held until a time (hold_reason from 3 on: the endpoint is slow, it asked to wait, its message was lost), by webhook
-- and time; and what was queued again and of which nothing was heard since, so that no more than some of it is at once.
CREATE INDEX pending_timed ON pending (webhook_id, due_at) WHERE state = 2 AND hold_reason >= 3;
CREATE INDEX pending_queued_again ON pending (webhook_id) WHERE state = 1 AND generation > 0;
