-- See migrations/postgres for what they are for; rows are removed bit by bit here, so that there are no partitions.
CREATE TABLE settings (
    instance TEXT NOT NULL PRIMARY KEY,
    retention_days INTEGER NOT NULL,
    hidden_before INTEGER NOT NULL,
    cleared_at INTEGER NOT NULL,
    removed_before INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- How what is in the column before it is stored. 0: as it is, 1: compressed.
ALTER TABLE bodies ADD COLUMN packing INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN response_packing INTEGER NOT NULL DEFAULT 0;
-- Bodies did not say how old they are: what is there counts as of today.
ALTER TABLE bodies ADD COLUMN at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE bodies ADD COLUMN day INTEGER GENERATED ALWAYS AS (at / 86400000000) VIRTUAL;
UPDATE bodies SET at = CAST(strftime('%s', 'now') AS INTEGER) * 1000000;
CREATE INDEX bodies_by_age ON bodies (instance, at);
