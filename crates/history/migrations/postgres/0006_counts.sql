-- Counts for statistics, by webhook and hour. They are added to in the transactions that write what they count.
CREATE TABLE counts (
    instance text NOT NULL,
    webhook_id bigint NOT NULL,
    -- Whole hours since the Unix epoch.
    hour bigint NOT NULL,
    -- 100 to 117: delivered attempts by duration, 200 to 217: failed ones, 300: ends without an attempt; 400 and more:
    -- events skipped, by reason (400: inactive, 401: plan, 402: project deleted, 403: endpoint failing). The duration goes
    -- by how many of the limits below it has reached.
    what smallint NOT NULL,
    -- Which of the processes and connections that write at the same time has counted: none waits for another one's row.
    -- The count is the sum, and one of them may be negative.
    shard integer NOT NULL,
    count bigint NOT NULL,
    PRIMARY KEY (instance, webhook_id, hour, what, shard)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 2000);
CREATE INDEX counts_by_hour ON counts (hour);

-- What is in history already.
INSERT INTO counts (instance, webhook_id, hour, what, shard, count)
SELECT instance, webhook_id, started_at / 3600000000,
    CASE WHEN NOT made THEN 300
        ELSE CASE status WHEN 2 THEN 100 ELSE 200 END
            + width_bucket(duration_us, ARRAY[1000, 1778, 3162, 5623, 10000, 17783, 31623, 56234, 100000, 177828, 316228,
                562341, 1000000, 1778279, 3162278, 5623413, 10000000]::bigint[])
    END,
    0, COUNT(*)
FROM attempts WHERE NOT is_test GROUP BY 1, 2, 3, 4;
