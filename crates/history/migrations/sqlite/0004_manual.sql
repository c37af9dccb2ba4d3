-- See migrations/postgres for what they are for.
ALTER TABLE pending ADD COLUMN manual INTEGER NOT NULL DEFAULT 0;
CREATE INDEX pending_tests ON pending (not_before) WHERE state = 2 AND is_test;
