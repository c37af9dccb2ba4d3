-- Counts for statistics. See migrations/postgres for what they mean; there is one writer here, and so no shards.
CREATE TABLE counts (
    instance TEXT NOT NULL,
    webhook_id INTEGER NOT NULL,
    hour INTEGER NOT NULL,
    what INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (instance, webhook_id, hour, what)
) STRICT, WITHOUT ROWID;
CREATE INDEX counts_by_hour ON counts (hour);

-- What is in history already.
WITH limits (micros) AS (
    VALUES (1000), (1778), (3162), (5623), (10000), (17783), (31623), (56234), (100000), (177828), (316228), (562341),
        (1000000), (1778279), (3162278), (5623413), (10000000)
)
INSERT INTO counts (instance, webhook_id, hour, what, count)
SELECT instance, webhook_id, started_at / 3600000000,
    CASE WHEN NOT made THEN 300
        ELSE CASE status WHEN 2 THEN 100 ELSE 200 END + (SELECT COUNT(*) FROM limits WHERE micros <= duration_us)
    END,
    COUNT(*)
FROM attempts WHERE NOT is_test GROUP BY 1, 2, 3, 4;
