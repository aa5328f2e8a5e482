-- Who changed which contract, who publishes and who subscribes; and released rows that no statement removes.

-- One line for each change of a contract. Written by triggers, so a change by hand is in it too, and nobody writes it
-- otherwise: no role needs more than SELECT.
CREATE TABLE IF NOT EXISTS celerysalt_audit (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    action VARCHAR(20) NOT NULL,
    topic VARCHAR(255) NOT NULL,
    version VARCHAR(50) NOT NULL,
    fingerprint TEXT,
    -- As the program says of itself; empty for a change by hand.
    service TEXT NOT NULL DEFAULT '',
    host TEXT NOT NULL DEFAULT '',
    os_user TEXT NOT NULL DEFAULT '',
    -- As the database knows it.
    role TEXT NOT NULL DEFAULT session_user,
    reason TEXT NOT NULL DEFAULT ''
);

CREATE INDEX IF NOT EXISTS idx_audit_contract ON celerysalt_audit (topic, version, id);

CREATE TABLE IF NOT EXISTS celerysalt_publishers (
    topic VARCHAR(255) NOT NULL,
    version VARCHAR(60) NOT NULL,
    service TEXT NOT NULL,
    handler TEXT NOT NULL,
    host TEXT NOT NULL,
    first_seen TIMESTAMPTZ NOT NULL DEFAULT now(),
    last_seen TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, version, service, handler)
);

-- `topic` may be a pattern (`pulse.#`), `version` a range (`^v1.2`, `latest`, `*` for any).
CREATE TABLE IF NOT EXISTS celerysalt_subscribers (
    topic VARCHAR(255) NOT NULL,
    version VARCHAR(60) NOT NULL,
    service TEXT NOT NULL,
    handler TEXT NOT NULL,
    host TEXT NOT NULL,
    first_seen TIMESTAMPTZ NOT NULL DEFAULT now(),
    last_seen TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, version, service, handler)
);

-- These run with the rights of the tables' owner, so that a role that may sync can add to the log and not write to it.
-- What they name is spelled out with its schema: a search_path of the caller's would let it bring its own.
CREATE OR REPLACE FUNCTION celerysalt_audit_insert() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format(
        'INSERT INTO %I.celerysalt_audit (action, topic, version, fingerprint, service, host, os_user, reason)
         SELECT ''create'', topic, version, fingerprint,
                coalesce(current_setting(''celerysalt.service'', true), ''''),
                coalesce(current_setting(''celerysalt.host'', true), ''''),
                coalesce(current_setting(''celerysalt.os_user'', true), ''''),
                coalesce(current_setting(''celerysalt.reason'', true), '''')
         FROM written ORDER BY id', TG_TABLE_SCHEMA);
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION celerysalt_audit_update() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format(
        'INSERT INTO %I.celerysalt_audit (action, topic, version, fingerprint, service, host, os_user, reason)
         SELECT change.action, written.topic, written.version, written.fingerprint,
                coalesce(current_setting(''celerysalt.service'', true), ''''),
                coalesce(current_setting(''celerysalt.host'', true), ''''),
                coalesce(current_setting(''celerysalt.os_user'', true), ''''),
                coalesce(current_setting(''celerysalt.reason'', true), '''')
         FROM written JOIN was ON was.id = written.id
         CROSS JOIN LATERAL (
             SELECT ''update'' AS action
             WHERE (written.description, written.fingerprint, written.content_hash, written.publisher_module,
                    written.publisher_class, written.schema, written.response_schema, written.error_schema)
                 IS DISTINCT FROM (was.description, was.fingerprint, was.content_hash, was.publisher_module,
                    was.publisher_class, was.schema, was.response_schema, was.error_schema)
             UNION ALL
             SELECT CASE written.status WHEN ''deprecated'' THEN ''deprecate'' ELSE ''undeprecate'' END
             WHERE written.status IS DISTINCT FROM was.status
         ) AS change
         ORDER BY written.id', TG_TABLE_SCHEMA);
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION celerysalt_audit_delete() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format(
        'INSERT INTO %I.celerysalt_audit (action, topic, version, fingerprint, service, host, os_user, reason)
         SELECT ''delete'', topic, version, fingerprint,
                coalesce(current_setting(''celerysalt.service'', true), ''''),
                coalesce(current_setting(''celerysalt.host'', true), ''''),
                coalesce(current_setting(''celerysalt.os_user'', true), ''''),
                coalesce(current_setting(''celerysalt.reason'', true), '''')
         FROM was ORDER BY id', TG_TABLE_SCHEMA);
    RETURN NULL;
END
$$;

DROP TRIGGER IF EXISTS celerysalt_audit_insert ON celerysalt_schemas;
CREATE TRIGGER celerysalt_audit_insert AFTER INSERT ON celerysalt_schemas
    REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION celerysalt_audit_insert();

DROP TRIGGER IF EXISTS celerysalt_audit_update ON celerysalt_schemas;
CREATE TRIGGER celerysalt_audit_update AFTER UPDATE ON celerysalt_schemas
    REFERENCING OLD TABLE AS was NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION celerysalt_audit_update();

DROP TRIGGER IF EXISTS celerysalt_audit_delete ON celerysalt_schemas;
CREATE TRIGGER celerysalt_audit_delete AFTER DELETE ON celerysalt_schemas
    REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION celerysalt_audit_delete();

-- Nobody removes a released contract, or a line of the log, by accident: not the owner either, short of
-- ALTER TABLE ... DISABLE TRIGGER or DROP.
CREATE OR REPLACE FUNCTION celerysalt_keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_TABLE_NAME = 'celerysalt_audit' THEN
        RAISE EXCEPTION 'celerysalt_audit is append-only: % is refused', TG_OP;
    END IF;
    RAISE EXCEPTION 'released contracts are never removed: % on % is refused; deprecate them instead',
        TG_OP, TG_TABLE_NAME;
END
$$;

DROP TRIGGER IF EXISTS celerysalt_schemas_keep ON celerysalt_schemas;
CREATE TRIGGER celerysalt_schemas_keep BEFORE DELETE ON celerysalt_schemas
    FOR EACH ROW EXECUTE FUNCTION celerysalt_keep();
DROP TRIGGER IF EXISTS celerysalt_schemas_keep_all ON celerysalt_schemas;
CREATE TRIGGER celerysalt_schemas_keep_all BEFORE TRUNCATE ON celerysalt_schemas
    FOR EACH STATEMENT EXECUTE FUNCTION celerysalt_keep();
DROP TRIGGER IF EXISTS celerysalt_audit_keep ON celerysalt_audit;
CREATE TRIGGER celerysalt_audit_keep BEFORE UPDATE OR DELETE ON celerysalt_audit
    FOR EACH ROW EXECUTE FUNCTION celerysalt_keep();
DROP TRIGGER IF EXISTS celerysalt_audit_keep_all ON celerysalt_audit;
CREATE TRIGGER celerysalt_audit_keep_all BEFORE TRUNCATE ON celerysalt_audit
    FOR EACH STATEMENT EXECUTE FUNCTION celerysalt_keep();
