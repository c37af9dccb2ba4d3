-- Which secret it signs with: 1 for the one that it was created with, one more with each that was made since. Of older rows it
-- is not known how many there were: counting begins with the one that they have.
ALTER TABLE webhooks ADD COLUMN secret_id INTEGER NOT NULL DEFAULT 1;
