-- What was released is never written again, whatever else a statement sets. New words for it (titles, descriptions,
-- examples, comments) stand beside it.

-- The documents with newer words, `{"schema": ..., "response_schema": ..., "error_schema": ...}`; null where the released
-- ones are the newest. Readers take it only when it has the row's fingerprint, so it can't change a meaning.
ALTER TABLE celerysalt_schemas ADD COLUMN annotated TEXT CHECK (annotated IS NULL OR json_valid(annotated));

DROP TRIGGER IF EXISTS celerysalt_schemas_immutable;
CREATE TRIGGER celerysalt_schemas_immutable BEFORE UPDATE ON celerysalt_schemas
WHEN NEW.id IS NOT OLD.id OR NEW.topic IS NOT OLD.topic OR NEW.version IS NOT OLD.version OR NEW.mode IS NOT OLD.mode
    OR NEW.schema IS NOT OLD.schema OR NEW.response_schema IS NOT OLD.response_schema
    OR NEW.error_schema IS NOT OLD.error_schema OR NEW.fingerprint IS NOT OLD.fingerprint
    OR NEW.created_at IS NOT OLD.created_at
BEGIN
    SELECT RAISE(ABORT, 'this contract is released and never changes: publish the change as a new version');
END;

-- New words are logged as an update.
DROP TRIGGER IF EXISTS celerysalt_audit_update;
CREATE TRIGGER celerysalt_audit_update AFTER UPDATE ON celerysalt_schemas
WHEN NEW.content_hash IS NOT OLD.content_hash OR NEW.description IS NOT OLD.description
    OR NEW.publisher_module IS NOT OLD.publisher_module OR NEW.publisher_class IS NOT OLD.publisher_class
    OR NEW.annotated IS NOT OLD.annotated
BEGIN
    INSERT INTO celerysalt_audit (action, topic, version, fingerprint, service, host, os_user, reason)
    SELECT 'update', NEW.topic, NEW.version, NEW.fingerprint,
        coalesce(a.service, ''), coalesce(a.host, ''), coalesce(a.os_user, ''), coalesce(a.reason, '')
    FROM (SELECT 1) LEFT JOIN celerysalt_actor a;
END;
