-- Whether somebody asked for the attempt that is waited for (a retry of what has failed for good, a test payload): it is
-- waited for although the delivery has ended, and no other follows it by itself.
ALTER TABLE pending ADD COLUMN manual boolean NOT NULL DEFAULT FALSE;
-- Held test payloads, which go to inactive webhooks as well.
CREATE INDEX pending_tests ON pending (not_before) WHERE state = 2 AND is_test;
