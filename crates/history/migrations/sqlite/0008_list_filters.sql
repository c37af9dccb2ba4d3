-- Lists of one event type, of a webhook and of all; and of test payloads, of which there are few.
CREATE INDEX attempts_by_webhook_and_type
    ON attempts (instance, webhook_id, event_type, status, started_at, delivery_id, number);
CREATE INDEX attempts_by_type ON attempts (instance, event_type, status, started_at, delivery_id, number);
CREATE INDEX attempts_of_tests_by_webhook
    ON attempts (instance, webhook_id, status, started_at, delivery_id, number) WHERE is_test;
CREATE INDEX attempts_of_tests ON attempts (instance, status, started_at, delivery_id, number) WHERE is_test;

-- One row: what cursors are signed with, 32 bytes. Nobody gets at anything with it: a forged cursor is but another place
-- in a list that its reader may read.
CREATE TABLE cursor_key (id INTEGER PRIMARY KEY CHECK (id = 1), key BLOB NOT NULL) STRICT;
INSERT INTO cursor_key (id, key) VALUES (1, randomblob(32));
