-- Test payloads are so few that an index has those of both statuses together. That is for PostgreSQL, which has an index
-- for each day; here the lists are the same.
DROP INDEX attempts_of_tests_by_webhook;
DROP INDEX attempts_of_tests;
CREATE INDEX attempts_of_tests_by_webhook
    ON attempts (instance, webhook_id, started_at, delivery_id, number) WHERE is_test;
CREATE INDEX attempts_of_tests ON attempts (instance, started_at, delivery_id, number) WHERE is_test;
