-- When its endpoint became the one that it is: the webhook was created or activated, or told to lead elsewhere. Failures from
-- before say nothing of it. Of older rows the time of their last change is as far back as is certain.
ALTER TABLE webhooks ADD COLUMN endpoint_since bigint NOT NULL DEFAULT 0;
UPDATE webhooks SET endpoint_since = updated_at;
