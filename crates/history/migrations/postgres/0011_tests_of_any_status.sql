-- Test payloads are so few that an index has those of both statuses together: over all days a list of them then reads one
-- index a day instead of two.
DROP INDEX attempts_of_tests_by_webhook, attempts_of_tests;
CREATE INDEX attempts_of_tests_by_webhook
    ON attempts (instance, webhook_id, started_at, delivery_id, number) WHERE is_test;
CREATE INDEX attempts_of_tests ON attempts (instance, started_at, delivery_id, number) WHERE is_test;
