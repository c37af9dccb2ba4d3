-- Plans and projects as Testmo core tells them, headers and filters of webhooks, and who changed what.

-- A row for every instance that anything was ever changed in: its lock orders all changes of the instance.
CREATE TABLE instances (
    instance text PRIMARY KEY,
    -- NULL: Testmo core has told none.
    plan text,
    -- As told; 0: none was.
    plan_version bigint NOT NULL DEFAULT 0
);

CREATE TABLE projects (
    instance text NOT NULL,
    project_id bigint NOT NULL,
    -- As told.
    told_version bigint NOT NULL,
    -- Empty when it was deleted before anything else was told of it.
    name text NOT NULL,
    url text NOT NULL,
    -- The version of its deletion, from the same counter as those of webhooks; NULL: it is not deleted.
    deletion_version bigint,
    PRIMARY KEY (instance, project_id)
);
CREATE UNIQUE INDEX projects_by_deletion ON projects (deletion_version) WHERE deletion_version IS NOT NULL;

ALTER TABLE webhooks
    -- Names of the further request headers; their values are in `secret`.
    ADD COLUMN headers text[] NOT NULL DEFAULT '{}',
    ADD COLUMN filter text[] NOT NULL DEFAULT '{}',
    -- Empty: active, or an operator's doing.
    ADD COLUMN inactive_reason text NOT NULL DEFAULT '',
    -- When the last of the older secrets stops signing; NULL: there is none.
    ADD COLUMN previous_secret_expires_at bigint,
    -- Name and URL in lower case, for finding it by a part of them.
    ADD COLUMN search text NOT NULL DEFAULT '';
UPDATE webhooks SET search = lower(name || E'\n' || url) WHERE NOT deleted;
COMMENT ON COLUMN webhooks.secret IS 'Sealed: all signing secrets and the values of headers.';

-- Who did what to a webhook, one row for each version of it. Holds no secret, and outlives the webhook.
CREATE TABLE webhook_changes (
    webhook_id bigint NOT NULL,
    version bigint NOT NULL,
    instance text NOT NULL,
    at bigint NOT NULL,
    action text NOT NULL,
    actor text NOT NULL,
    actor_role text NOT NULL,
    -- JSON: what each field was and is.
    fields text NOT NULL,
    PRIMARY KEY (webhook_id, version)
);
