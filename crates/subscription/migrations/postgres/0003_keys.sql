-- Which keys the running processes have, so that a key is used for sealing when all can open it, and goes when none
-- seals with it. A row of a process that has ended is removed after a minute.
CREATE TABLE key_readers (
    process uuid PRIMARY KEY,
    -- For people: host and process id of the operating system.
    host text NOT NULL,
    -- Ids of the keys that it has now, the one that seals first.
    keys text[] NOT NULL,
    -- Ids of all keys that something on its way may be sealed with.
    sealing text[] NOT NULL,
    seen_at bigint NOT NULL
);
COMMENT ON TABLE meta IS '`key_check`: tells the right secrets key. `rotation`: id of the key that a rotation leads to.';
