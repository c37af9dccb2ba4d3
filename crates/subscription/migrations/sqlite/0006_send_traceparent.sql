-- Whether each delivery tells its trace context to the receiver. Older programs leave it as it is.
ALTER TABLE webhooks ADD COLUMN send_traceparent INTEGER NOT NULL DEFAULT 0;
