-- The outbox: events written in the transactions of a service, until a relay has published them. Safe to run again.

CREATE TABLE IF NOT EXISTS celerysalt_outbox (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id TEXT NOT NULL,
    topic TEXT NOT NULL,
    exchange TEXT NOT NULL,
    routing_key TEXT NOT NULL,
    -- Events of one key go out one after the other; null for those that may go side by side.
    ordering_key TEXT COLLATE "C" CHECK (octet_length(ordering_key) BETWEEN 1 AND 255),
    -- JSON, not JSONB: headers may hold a NUL.
    properties JSON NOT NULL,
    headers JSON NOT NULL,
    body BYTEA NOT NULL,
    allow_unrouted BOOLEAN NOT NULL DEFAULT false,
    created_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    -- How often the broker did not take it, when it is tried again, and why it was not taken.
    attempts INTEGER NOT NULL DEFAULT 0,
    -- What is new is due whatever the clock does.
    next_attempt TIMESTAMPTZ NOT NULL DEFAULT '-infinity',
    last_error TEXT
) WITH (
    -- Rows come and go: what is dead at the head of an index would be read again by each look.
    autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 5000,
    autovacuum_analyze_scale_factor = 0.0, autovacuum_analyze_threshold = 5000
);

-- What relays take: the events without a key that are due, and the first event of each key.
CREATE INDEX IF NOT EXISTS celerysalt_outbox_due ON celerysalt_outbox (next_attempt, id) WHERE ordering_key IS NULL;
CREATE INDEX IF NOT EXISTS celerysalt_outbox_keys ON celerysalt_outbox (ordering_key, id) WHERE ordering_key IS NOT NULL;
-- What operators ask for.
CREATE INDEX IF NOT EXISTS celerysalt_outbox_failed ON celerysalt_outbox (id) WHERE attempts > 0;

-- Wakes relays when the transaction commits. The payload says which table it was, of all in this database.
CREATE OR REPLACE FUNCTION celerysalt_outbox_wake() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('celerysalt_outbox', TG_RELID::text);
    RETURN NULL;
END
$$;

DROP TRIGGER IF EXISTS celerysalt_outbox_wake ON celerysalt_outbox;
CREATE TRIGGER celerysalt_outbox_wake AFTER INSERT ON celerysalt_outbox
    FOR EACH STATEMENT EXECUTE FUNCTION celerysalt_outbox_wake();
