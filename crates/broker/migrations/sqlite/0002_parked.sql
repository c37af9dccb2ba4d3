-- When the message was parked last, in Unix microseconds; 0: never, or before this column was there. It stays when the
-- message is put back into its lane, because consumers are told that they may have seen it before.
ALTER TABLE messages ADD COLUMN parked_at INTEGER NOT NULL DEFAULT 0;

-- Carries what messages are selected by, so that nobody has to read bodies for that.
CREATE INDEX messages_parked ON messages (parked_at, id, lane, size, message_id) WHERE parked_reason IS NOT NULL;
