-- Which keys the running processes have, so that a key is used for sealing when all can open it, and goes when none
-- seals with it. A row of a process that has ended is removed after a minute. In `meta`, `rotation` is the id of the key
-- that a rotation leads to.
CREATE TABLE key_readers (
    process BLOB PRIMARY KEY,
    -- For people: host and process id of the operating system.
    host TEXT NOT NULL,
    -- Ids of the keys that it has now, the one that seals first.
    keys TEXT NOT NULL,
    -- Ids of all keys that something on its way may be sealed with.
    sealing TEXT NOT NULL,
    seen_at INTEGER NOT NULL
) STRICT;
