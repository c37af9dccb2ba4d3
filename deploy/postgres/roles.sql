-- A role for each service that keeps data. Each owns its schema and sees no other; neither may do anything else.
-- Run once, by the image, when the database is made.
\set subscription `cat /run/secrets/subscription.password`
\set history `cat /run/secrets/history.password`

REVOKE ALL ON DATABASE testmo, postgres, template1 FROM PUBLIC;
REVOKE ALL ON SCHEMA public FROM PUBLIC;

CREATE ROLE subscription LOGIN PASSWORD :'subscription';
CREATE ROLE history LOGIN PASSWORD :'history';
GRANT CONNECT ON DATABASE testmo TO subscription, history;
CREATE SCHEMA subscription AUTHORIZATION subscription;
CREATE SCHEMA history AUTHORIZATION history;
