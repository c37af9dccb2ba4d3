-- See migrations/postgres for what the column means.
ALTER TABLE pending ADD COLUMN hold_reason INTEGER NOT NULL DEFAULT 0;
UPDATE pending SET hold_reason = 1 WHERE state = 2;
