-- A shop's change of zone moves its local days. Until that is applied, answers tagged with the
-- old zone's days are still served, and the days of a change made meanwhile are the new
-- zone's: the recorders look for this row, and then tell that everything changed.
CREATE FUNCTION record_zone() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    INSERT INTO outbox (organization_id, event, zone_changed)
    VALUES (new.id, format('{"organization_id":%s,"organization":{}}', new.id)::json, true);
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION record_zone() FROM PUBLIC;
CREATE TRIGGER record_zone AFTER UPDATE OF time_zone ON organizations
    FOR EACH ROW WHEN (old.time_zone IS DISTINCT FROM new.time_zone)
    EXECUTE FUNCTION record_zone();
