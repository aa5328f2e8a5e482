-- Roles of a celerysalt registry, each with the one before it and no more than it needs:
--
--   PREFIX_reader     reads contracts, the audit log and who publishes and subscribes (developers, CI, `pull`, `check`)
--   PREFIX_service    a running service: also records that it is there
--   PREFIX_registrar  a service that registers its contracts when it starts: also adds contracts, but can't deprecate
--   PREFIX_releaser   a release pipeline: also runs `celerysalt sync` and `celerysalt deprecate`
--
-- Run it as the owner of the tables, after the first `celerysalt sync` has made them; again after an upgrade. None of the
-- roles can log in, change what was released, or write the audit log. Give them to those who log in:
--
--   CREATE ROLE pulse LOGIN PASSWORD '...' IN ROLE PREFIX_service;

DO $$
DECLARE
    name TEXT;
BEGIN
    FOREACH name IN ARRAY ARRAY['PREFIX_reader', 'PREFIX_service', 'PREFIX_registrar', 'PREFIX_releaser'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', name);
        END IF;
    END LOOP;
END
$$;

GRANT PREFIX_reader TO PREFIX_service;
GRANT PREFIX_service TO PREFIX_registrar;
GRANT PREFIX_reader TO PREFIX_releaser;

GRANT USAGE ON SCHEMA REGISTRY TO PREFIX_reader;
GRANT SELECT ON REGISTRY.celerysalt_schemas, REGISTRY.celerysalt_migrations, REGISTRY.celerysalt_audit,
    REGISTRY.celerysalt_publishers, REGISTRY.celerysalt_subscribers TO PREFIX_reader;

GRANT INSERT, UPDATE ON REGISTRY.celerysalt_publishers, REGISTRY.celerysalt_subscribers TO PREFIX_service;

GRANT INSERT ON REGISTRY.celerysalt_schemas TO PREFIX_registrar;
GRANT UPDATE (annotated, description, fingerprint, publisher_module, publisher_class, content_hash, updated_at)
    ON REGISTRY.celerysalt_schemas TO PREFIX_registrar;
-- Which an older celerysalt gave.
REVOKE UPDATE (schema, response_schema, error_schema) ON REGISTRY.celerysalt_schemas FROM PREFIX_registrar;

GRANT INSERT, UPDATE ON REGISTRY.celerysalt_schemas TO PREFIX_releaser;

-- Tables that were made by hand, before celerysalt did, count their rows with a sequence that has grants of its own.
DO $$
BEGIN
    EXECUTE format('GRANT USAGE ON SEQUENCE %s TO PREFIX_registrar, PREFIX_releaser',
        pg_get_serial_sequence('REGISTRY.celerysalt_schemas', 'id'));
END
$$;
