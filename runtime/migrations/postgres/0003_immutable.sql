-- What was released is never written again, whatever else a statement sets. New words for it (titles, descriptions,
-- examples, comments) stand beside it.

ALTER TABLE celerysalt_schemas
    -- The documents with newer words, `{"schema": ..., "response_schema": ..., "error_schema": ...}`; null where the
    -- released ones are the newest. Readers take it only when it has the row's fingerprint, so it can't change a meaning.
    ADD COLUMN IF NOT EXISTS annotated JSONB,
    DROP CONSTRAINT IF EXISTS celerysalt_schemas_annotated_check,
    ADD CONSTRAINT celerysalt_schemas_annotated_check CHECK (jsonb_typeof(annotated) = 'object') NOT VALID;

CREATE OR REPLACE FUNCTION celerysalt_schemas_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%@% is released and never changes: publish the change as a new version',
        OLD.topic, OLD.version;
END
$$;

-- The condition stands in the trigger, not in its function: there its operators are fixed, and no search_path of a caller's
-- brings others. As text, so that `1` is not `1.0`. A fingerprint may be given once, to a row of before there were any.
DROP TRIGGER IF EXISTS celerysalt_schemas_immutable ON celerysalt_schemas;
CREATE TRIGGER celerysalt_schemas_immutable BEFORE UPDATE ON celerysalt_schemas FOR EACH ROW
    WHEN (
        NEW.id IS DISTINCT FROM OLD.id
        OR NEW.topic IS DISTINCT FROM OLD.topic
        OR NEW.version IS DISTINCT FROM OLD.version
        OR NEW.mode IS DISTINCT FROM OLD.mode
        OR NEW.schema::text IS DISTINCT FROM OLD.schema::text
        OR NEW.response_schema::text IS DISTINCT FROM OLD.response_schema::text
        OR NEW.error_schema::text IS DISTINCT FROM OLD.error_schema::text
        OR NEW.created_at IS DISTINCT FROM OLD.created_at
        OR (OLD.fingerprint IS NOT NULL AND NEW.fingerprint IS DISTINCT FROM OLD.fingerprint)
    )
    EXECUTE FUNCTION celerysalt_schemas_immutable();

-- `SET session_replication_role = replica` is no way round them.
ALTER TABLE celerysalt_schemas ENABLE ALWAYS TRIGGER celerysalt_schemas_immutable;
ALTER TABLE celerysalt_schemas ENABLE ALWAYS TRIGGER celerysalt_schemas_keep;
ALTER TABLE celerysalt_schemas ENABLE ALWAYS TRIGGER celerysalt_schemas_keep_all;

-- New words are logged as an update.
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
                    written.publisher_class, written.annotated, written.schema, written.response_schema,
                    written.error_schema)
                 IS DISTINCT FROM (was.description, was.fingerprint, was.content_hash, was.publisher_module,
                    was.publisher_class, was.annotated, was.schema, was.response_schema, was.error_schema)
             UNION ALL
             SELECT CASE written.status WHEN ''deprecated'' THEN ''deprecate'' ELSE ''undeprecate'' END
             WHERE written.status IS DISTINCT FROM was.status
         ) AS change
         ORDER BY written.id', TG_TABLE_SCHEMA);
    RETURN NULL;
END
$$;
