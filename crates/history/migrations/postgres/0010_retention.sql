-- Attempts and bodies in a partition for each day (UTC), so that what is older than the longest retention goes, and its disk
-- space comes back, by dropping tables. There is no partition for what is left over, because with one PostgreSQL would
-- not take partitions one after the other in the order of time, and could detach none of them while others work. Days
-- are added before they are needed, or by whoever first writes to one.

-- What the users of an instance have decided about its history; no row: 90 days, and nothing else.
CREATE TABLE settings (
    instance text PRIMARY KEY,
    retention_days integer NOT NULL,
    -- Entries before this were hidden by a shorter retention, and stay hidden when it is lengthened.
    hidden_before bigint NOT NULL,
    -- Entries before this were cleared; 0: never.
    cleared_at bigint NOT NULL,
    -- Entries before this are off the disk.
    removed_before bigint NOT NULL
);

ALTER TABLE attempts RENAME TO attempts_unpartitioned;
ALTER TABLE attempts_unpartitioned RENAME CONSTRAINT attempts_pkey TO attempts_unpartitioned_pkey;
ALTER TABLE bodies RENAME TO bodies_unpartitioned;
ALTER TABLE bodies_unpartitioned RENAME CONSTRAINT bodies_pkey TO bodies_unpartitioned_pkey;
DROP INDEX attempts_by_webhook, attempts_by_time, attempts_by_webhook_and_type, attempts_by_type,
    attempts_of_tests_by_webhook, attempts_of_tests;

-- That there is one row for each delivery and number is held by the lock on the delivery's row in `pending`: a key of a
-- partitioned table has to contain what it is divided by.
CREATE TABLE attempts (
    LIKE attempts_unpartitioned INCLUDING COMPRESSION,
    PRIMARY KEY (delivery_id, number, started_at)
) PARTITION BY RANGE (started_at);
CREATE INDEX attempts_by_webhook ON attempts (instance, webhook_id, status, started_at, delivery_id, number);
CREATE INDEX attempts_by_time ON attempts (instance, status, started_at, delivery_id, number);
CREATE INDEX attempts_by_webhook_and_type
    ON attempts (instance, webhook_id, event_type, status, started_at, delivery_id, number);
CREATE INDEX attempts_by_type ON attempts (instance, event_type, status, started_at, delivery_id, number);
CREATE INDEX attempts_of_tests_by_webhook
    ON attempts (instance, webhook_id, status, started_at, delivery_id, number) WHERE is_test;
CREATE INDEX attempts_of_tests ON attempts (instance, status, started_at, delivery_id, number) WHERE is_test;

CREATE TABLE bodies (
    LIKE bodies_unpartitioned INCLUDING COMPRESSION,
    -- The day of `at`, counted from the Unix epoch.
    day bigint NOT NULL,
    -- When the event was matched, or the last attempt began that needs the body to be kept for longer.
    at bigint NOT NULL,
    PRIMARY KEY (instance, event_id, format, day)
) PARTITION BY RANGE (day);
CREATE INDEX bodies_by_age ON bodies (instance, at);

-- Times that only a wrong clock has: before 2020, and from 2100 on.
CREATE TABLE attempts_past PARTITION OF attempts FOR VALUES FROM (MINVALUE) TO (1577836800000000);
CREATE TABLE attempts_future PARTITION OF attempts FOR VALUES FROM (4102444800000000) TO (MAXVALUE);
CREATE TABLE bodies_past PARTITION OF bodies FOR VALUES FROM (MINVALUE) TO (18262);
CREATE TABLE bodies_future PARTITION OF bodies FOR VALUES FROM (47482) TO (MAXVALUE);

-- Adds the partitions of a day, if they are not there. Attaching a table that was made apart holds up nobody, neither
-- readers nor writers, unlike making one as a partition.
CREATE FUNCTION add_day(day bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    parent text;
    part text;
    unit bigint;
BEGIN
    -- One at a time; the number is that of nothing else.
    PERFORM pg_advisory_xact_lock(7246001);
    FOR parent, unit IN VALUES ('attempts', 86400000000), ('bodies', 1) LOOP
        part := parent || '_' || to_char(to_timestamp(day * 86400) AT TIME ZONE 'UTC', 'YYYYMMDD');
        CONTINUE WHEN EXISTS (SELECT 1 FROM pg_inherits WHERE inhrelid = to_regclass(part));
        IF to_regclass(part) IS NOT NULL THEN
            -- It was detached, and not dropped yet.
            EXECUTE format('DROP TABLE %I', part);
        END IF;
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', part, parent);
        EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)', parent, part, day * unit,
            (day + 1) * unit);
    END LOOP;
END
$$;

-- What is there. Plain, row by row: it takes a few minutes for millions of entries, while history does not run.
SELECT add_day(days.day) FROM (
    SELECT DISTINCT started_at / 86400000000 AS day FROM attempts_unpartitioned
    UNION SELECT floor(extract(epoch FROM now()) / 86400)::bigint
) AS days WHERE days.day >= 18262 AND days.day < 47482;
INSERT INTO attempts SELECT * FROM attempts_unpartitioned;
-- Bodies did not say how old they are: they count as of today.
INSERT INTO bodies (instance, event_id, format, content, day, at)
SELECT instance, event_id, format, content, floor(extract(epoch FROM now()) / 86400)::bigint,
    (extract(epoch FROM now()) * 1000000)::bigint
FROM bodies_unpartitioned;
DROP TABLE attempts_unpartitioned, bodies_unpartitioned;
