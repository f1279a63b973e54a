-- One of a table's three recorders: INSERT, UPDATE or DELETE. Transition tables allow one
-- operation a trigger, and a function of its own has its plans cached.
CREATE FUNCTION record_{{table}}_{{operation}}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $function$
BEGIN
    PERFORM FROM {{rows}} OFFSET 1000 LIMIT 1;
    IF FOUND THEN
        INSERT INTO outbox (organization_id, event)
        SELECT shop, format('{"organization_id":%s,"organization":{}}', shop)::json
        FROM (SELECT {{shop}} FROM {{old}} o UNION SELECT {{shop}} FROM {{new}} n) AS shops (shop);
    ELSE
        INSERT INTO outbox (organization_id, event)
        {{events}};
        -- A statement of its own: its snapshot is younger than the lock on the shop.
        INSERT INTO outbox (organization_id, event)
        SELECT shop, format('{"organization_id":%s,"organization":{}}', shop)::json
        FROM (SELECT DISTINCT pending.organization_id FROM outbox pending
              WHERE pending.zone_changed AND pending.xid <> pg_current_xact_id()
                AND pending.organization_id IN (SELECT {{shop}} FROM {{rows}})) AS shops (shop);
    END IF;
    RETURN NULL;
END
$function$;
REVOKE ALL ON FUNCTION record_{{table}}_{{operation}}() FROM PUBLIC;
CREATE TRIGGER record_{{operation}} AFTER {{operation}} ON {{table}}
    REFERENCING {{referencing}}
    FOR EACH STATEMENT EXECUTE FUNCTION record_{{table}}_{{operation}}();
