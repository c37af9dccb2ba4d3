-- Plans and projects as Testmo core tells them, headers and filters of webhooks, and who changed what.

CREATE TABLE instances (
    instance TEXT PRIMARY KEY,
    -- NULL: Testmo core has told none.
    plan TEXT,
    -- As told; 0: none was.
    plan_version INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE projects (
    instance TEXT NOT NULL,
    project_id INTEGER NOT NULL,
    -- As told.
    told_version INTEGER NOT NULL,
    -- Empty when it was deleted before anything else was told of it.
    name TEXT NOT NULL,
    url TEXT NOT NULL,
    -- The version of its deletion, from the same counter as those of webhooks; NULL: it is not deleted.
    deletion_version INTEGER,
    PRIMARY KEY (instance, project_id)
) STRICT;
CREATE UNIQUE INDEX projects_by_deletion ON projects (deletion_version) WHERE deletion_version IS NOT NULL;

-- Names of the further request headers; their values are in `secret`, sealed with all signing secrets.
ALTER TABLE webhooks ADD COLUMN headers TEXT NOT NULL DEFAULT '[]';
ALTER TABLE webhooks ADD COLUMN filter TEXT NOT NULL DEFAULT '[]';
-- Empty: active, or an operator's doing.
ALTER TABLE webhooks ADD COLUMN inactive_reason TEXT NOT NULL DEFAULT '';
-- When the last of the older secrets stops signing; NULL: there is none.
ALTER TABLE webhooks ADD COLUMN previous_secret_expires_at INTEGER;
-- Name and URL in lower case, for finding it by a part of them.
ALTER TABLE webhooks ADD COLUMN search TEXT NOT NULL DEFAULT '';
UPDATE webhooks SET search = lower(name || char(10) || url) WHERE NOT deleted;

-- Who did what to a webhook, one row for each version of it. Holds no secret, and outlives the webhook.
CREATE TABLE webhook_changes (
    webhook_id INTEGER NOT NULL,
    version INTEGER NOT NULL,
    instance TEXT NOT NULL,
    at INTEGER NOT NULL,
    action TEXT NOT NULL,
    actor TEXT NOT NULL,
    actor_role TEXT NOT NULL,
    -- JSON: what each field was and is.
    fields TEXT NOT NULL,
    PRIMARY KEY (webhook_id, version)
) STRICT;
