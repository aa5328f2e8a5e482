-- The registry in one file: the tables of the PostgreSQL registry, as SQLite has them. Safe to run again.

CREATE TABLE IF NOT EXISTS celerysalt_schemas (
    id INTEGER PRIMARY KEY,
    topic TEXT NOT NULL,
    version TEXT NOT NULL,
    mode TEXT NOT NULL CHECK (mode IN ('broadcast', 'rpc')),
    schema TEXT NOT NULL CHECK (json_valid(schema)),
    response_schema TEXT CHECK (response_schema IS NULL OR json_valid(response_schema)),
    error_schema TEXT CHECK (error_schema IS NULL OR json_valid(error_schema)),
    description TEXT NOT NULL DEFAULT '',
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    fingerprint TEXT NOT NULL,
    publisher_module TEXT,
    publisher_class TEXT,
    status TEXT NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'deprecated')),
    -- SHA-256 of the row's documents as they were offered: equal means that nothing needs to be compared.
    content_hash TEXT NOT NULL,
    UNIQUE (topic, version)
);

CREATE TABLE IF NOT EXISTS celerysalt_audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    action TEXT NOT NULL,
    topic TEXT NOT NULL,
    version TEXT NOT NULL,
    fingerprint TEXT,
    service TEXT NOT NULL DEFAULT '',
    host TEXT NOT NULL DEFAULT '',
    os_user TEXT NOT NULL DEFAULT '',
    reason TEXT NOT NULL DEFAULT ''
);

CREATE INDEX IF NOT EXISTS idx_audit_contract ON celerysalt_audit (topic, version, id);

CREATE TABLE IF NOT EXISTS celerysalt_lineage (
    side TEXT NOT NULL CHECK (side IN ('publisher', 'subscriber')),
    topic TEXT NOT NULL,
    version TEXT NOT NULL,
    service TEXT NOT NULL,
    handler TEXT NOT NULL,
    host TEXT NOT NULL,
    first_seen TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    last_seen TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    PRIMARY KEY (side, topic, version, service, handler)
) WITHOUT ROWID;

-- Who is writing, while a transaction of celerysalt is: SQLite has no sessions that triggers could ask. Empty otherwise,
-- so what is changed by hand is logged without a name.
CREATE TABLE IF NOT EXISTS celerysalt_actor (
    service TEXT NOT NULL,
    host TEXT NOT NULL,
    os_user TEXT NOT NULL,
    reason TEXT NOT NULL
);

CREATE TRIGGER IF NOT EXISTS celerysalt_audit_insert AFTER INSERT ON celerysalt_schemas
BEGIN
    INSERT INTO celerysalt_audit (action, topic, version, fingerprint, service, host, os_user, reason)
    SELECT 'create', NEW.topic, NEW.version, NEW.fingerprint,
        coalesce(a.service, ''), coalesce(a.host, ''), coalesce(a.os_user, ''), coalesce(a.reason, '')
    FROM (SELECT 1) LEFT JOIN celerysalt_actor a;
END;

CREATE TRIGGER IF NOT EXISTS celerysalt_audit_update AFTER UPDATE ON celerysalt_schemas
WHEN NEW.content_hash IS NOT OLD.content_hash OR NEW.description IS NOT OLD.description
    OR NEW.publisher_module IS NOT OLD.publisher_module OR NEW.publisher_class IS NOT OLD.publisher_class
BEGIN
    INSERT INTO celerysalt_audit (action, topic, version, fingerprint, service, host, os_user, reason)
    SELECT 'update', NEW.topic, NEW.version, NEW.fingerprint,
        coalesce(a.service, ''), coalesce(a.host, ''), coalesce(a.os_user, ''), coalesce(a.reason, '')
    FROM (SELECT 1) LEFT JOIN celerysalt_actor a;
END;

CREATE TRIGGER IF NOT EXISTS celerysalt_audit_status AFTER UPDATE ON celerysalt_schemas
WHEN NEW.status IS NOT OLD.status
BEGIN
    INSERT INTO celerysalt_audit (action, topic, version, fingerprint, service, host, os_user, reason)
    SELECT CASE NEW.status WHEN 'deprecated' THEN 'deprecate' ELSE 'undeprecate' END,
        NEW.topic, NEW.version, NEW.fingerprint,
        coalesce(a.service, ''), coalesce(a.host, ''), coalesce(a.os_user, ''), coalesce(a.reason, '')
    FROM (SELECT 1) LEFT JOIN celerysalt_actor a;
END;

CREATE TRIGGER IF NOT EXISTS celerysalt_schemas_immutable BEFORE UPDATE ON celerysalt_schemas
WHEN NEW.topic IS NOT OLD.topic OR NEW.version IS NOT OLD.version OR NEW.mode IS NOT OLD.mode
    OR NEW.fingerprint IS NOT OLD.fingerprint OR NEW.id IS NOT OLD.id
    OR (NEW.content_hash IS OLD.content_hash
        AND (NEW.schema IS NOT OLD.schema OR NEW.response_schema IS NOT OLD.response_schema
            OR NEW.error_schema IS NOT OLD.error_schema))
BEGIN
    SELECT RAISE(ABORT, 'this contract is released and never changes: publish the change as a new version');
END;

-- `INSERT OR REPLACE` removes the row that it replaces without asking the trigger below.
CREATE TRIGGER IF NOT EXISTS celerysalt_schemas_replace BEFORE INSERT ON celerysalt_schemas
WHEN EXISTS (SELECT 1 FROM celerysalt_schemas WHERE (topic = NEW.topic AND version = NEW.version) OR id = NEW.id)
BEGIN
    SELECT RAISE(ABORT, 'this contract is released and never changes: publish the change as a new version');
END;

CREATE TRIGGER IF NOT EXISTS celerysalt_schemas_keep BEFORE DELETE ON celerysalt_schemas
BEGIN
    SELECT RAISE(ABORT, 'released contracts are never removed: deprecate them instead');
END;

CREATE TRIGGER IF NOT EXISTS celerysalt_audit_keep_update BEFORE UPDATE ON celerysalt_audit
BEGIN
    SELECT RAISE(ABORT, 'celerysalt_audit is append-only');
END;

CREATE TRIGGER IF NOT EXISTS celerysalt_audit_keep_replace BEFORE INSERT ON celerysalt_audit
WHEN EXISTS (SELECT 1 FROM celerysalt_audit WHERE id = NEW.id)
BEGIN
    SELECT RAISE(ABORT, 'celerysalt_audit is append-only');
END;

CREATE TRIGGER IF NOT EXISTS celerysalt_audit_keep_delete BEFORE DELETE ON celerysalt_audit
BEGIN
    SELECT RAISE(ABORT, 'celerysalt_audit is append-only');
END;
