CREATE TABLE request_ids (
    organization_id bigint NOT NULL,
    request_id uuid NOT NULL,
    method text NOT NULL,
    fingerprint bytea NOT NULL,
    response bytea,
    events jsonb,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, request_id)
);
CREATE INDEX request_ids_by_age ON request_ids (created_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON request_ids TO chairside_booking;

-- Processes of the version before know idempotent_requests alone, where an id is one of all
-- organizations together. A client may send a request to the one version and its repeat to the
-- other: so whoever takes an id here takes it there, too, or waits until it is decided who has it.
CREATE FUNCTION request_id_taken() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    first idempotent_requests;
BEGIN
    INSERT INTO idempotent_requests AS theirs (request_id, method, fingerprint, created_at)
    VALUES (NEW.request_id, NEW.method, NEW.fingerprint, NEW.created_at)
    ON CONFLICT (request_id) DO UPDATE SET method = EXCLUDED.method,
        fingerprint = EXCLUDED.fingerprint, response = NULL, events = NULL,
        created_at = EXCLUDED.created_at
    WHERE theirs.created_at < EXCLUDED.created_at - INTERVAL '24 hours';
    IF NOT FOUND THEN
        -- A success with this id: it is of this organization if the requests are the same, as
        -- each names its organization, or if it changed something of it but to make it.
        SELECT * INTO first FROM idempotent_requests
        WHERE request_id = NEW.request_id AND response IS NOT NULL
            AND ((method, fingerprint) = (NEW.method, NEW.fingerprint)
                OR method <> 'CreateOrganization' AND events->'events' @>
                jsonb_build_array(jsonb_build_object('organization_id', NEW.organization_id)));
        IF FOUND THEN
            NEW.method := first.method;
            NEW.fingerprint := first.fingerprint;
            NEW.response := first.response;
            NEW.events := first.events;
            NEW.created_at := first.created_at;
        END IF;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER taken BEFORE INSERT ON request_ids
    FOR EACH ROW EXECUTE FUNCTION request_id_taken();

CREATE FUNCTION request_id_answered() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE idempotent_requests SET response = NEW.response, events = NEW.events
    WHERE request_id = NEW.request_id
        AND (method, fingerprint) = (NEW.method, NEW.fingerprint);
    RETURN NULL;
END
$$;
CREATE TRIGGER answered AFTER UPDATE ON request_ids
    FOR EACH ROW WHEN (NEW.response IS NOT NULL) EXECUTE FUNCTION request_id_answered();

-- What is purged here is old there, too, be it of the version before.
CREATE FUNCTION request_ids_purged() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM idempotent_requests
    WHERE created_at <= (SELECT max(created_at) FROM purged);
    RETURN NULL;
END
$$;
CREATE TRIGGER purged AFTER DELETE ON request_ids REFERENCING OLD TABLE AS purged
    FOR EACH STATEMENT EXECUTE FUNCTION request_ids_purged();
