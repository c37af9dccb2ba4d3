-- A program can work with this schema if it knows this migration, however many came later. One that older programs cannot
-- live with raises the number; see docs/upgrading.md.
CREATE TABLE compatibility (needs bigint NOT NULL);
INSERT INTO compatibility VALUES (7);
