-- The event store: what was published, in order, for whoever needs it again. Safe to run again.

CREATE TABLE IF NOT EXISTS celerysalt_events (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- The message id that subscribers see.
    event_id TEXT NOT NULL,
    topic TEXT NOT NULL,
    version TEXT,
    exchange TEXT NOT NULL,
    routing_key TEXT NOT NULL,
    -- JSON, not JSONB: the texts are kept as they were, every digit and a NUL included.
    properties JSON NOT NULL,
    headers JSON NOT NULL,
    -- What travels beside the payload: version, correlation id, trace context.
    meta JSON NOT NULL,
    payload JSON NOT NULL,
    -- The transaction that wrote it. A reader that waits until all transactions of before are over has missed nothing; for
    -- that, a transaction has its number before the event has its time, so this column comes first.
    xact XID8 NOT NULL DEFAULT pg_current_xact_id(),
    recorded_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX IF NOT EXISTS celerysalt_events_topic ON celerysalt_events (topic, seq);
CREATE INDEX IF NOT EXISTS celerysalt_events_time ON celerysalt_events (recorded_at, seq);
CREATE INDEX IF NOT EXISTS celerysalt_events_id ON celerysalt_events (event_id);

-- What happened stays. Only pruning says in its transaction that it means it.
CREATE OR REPLACE FUNCTION celerysalt_events_keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('celerysalt.prune_events', true) = 'on' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'celerysalt_events is append-only: % is refused', TG_OP
        USING HINT = 'EventStore::prune removes what is older than a given time';
END
$$;

DROP TRIGGER IF EXISTS celerysalt_events_keep ON celerysalt_events;
CREATE TRIGGER celerysalt_events_keep BEFORE UPDATE OR DELETE ON celerysalt_events
    FOR EACH ROW EXECUTE FUNCTION celerysalt_events_keep();
DROP TRIGGER IF EXISTS celerysalt_events_keep_all ON celerysalt_events;
CREATE TRIGGER celerysalt_events_keep_all BEFORE TRUNCATE ON celerysalt_events
    FOR EACH STATEMENT EXECUTE FUNCTION celerysalt_events_keep();
