-- The inbox: which handler has handled which message, written in the transaction of what the handler did. Safe to run again.

CREATE TABLE IF NOT EXISTS celerysalt_inbox (
    handler TEXT NOT NULL,
    message_id TEXT NOT NULL,
    handled_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (handler, message_id)
);

CREATE INDEX IF NOT EXISTS celerysalt_inbox_age ON celerysalt_inbox (handled_at);
