-- Why a row of state 2 is held. 1: its webhook is inactive, 2: the dispatcher does not know its webhook. 0: it is not
-- held.
ALTER TABLE pending ADD COLUMN hold_reason smallint NOT NULL DEFAULT 0;
UPDATE pending SET hold_reason = 1 WHERE state = 2;
