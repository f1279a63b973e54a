-- One of a table's three keepers of the totals: INSERT, UPDATE or DELETE.
CREATE OR REPLACE FUNCTION total_{{table}}_{{operation}}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $function$
BEGIN
    -- Most statements are bookings, confirmations and the like: they pay for this only.
    PERFORM FROM ({{changes}}) c LIMIT 1;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    -- One after the other for each client, and in order: else the day one transaction adds
    -- could be the one that another waits with, or be missed where a last visit is sought.
    PERFORM FROM clients
    WHERE id = ANY (ARRAY(SELECT DISTINCT c.client_id FROM ({{changes}}) c))
    ORDER BY id FOR NO KEY UPDATE;
    -- A shop that changes its zone waits for this change or this change for it.
    WITH shops AS MATERIALIZED (
        SELECT id, time_zone FROM organizations
        WHERE id = ANY (ARRAY(SELECT DISTINCT c.organization_id FROM ({{changes}}) c))
        ORDER BY id FOR SHARE
    ), days AS (
        INSERT INTO client_days AS kept
            (client_id, barber_id, day, organization_id, visits, paid, refunded)
        SELECT c.client_id, who.barber_id, (c.moment AT TIME ZONE shops.time_zone)::date,
            c.organization_id, sum(c.visits), sum(c.paid), sum(c.refunded)
        FROM ({{changes}}) c
        JOIN shops ON shops.id = c.organization_id
        CROSS JOIN LATERAL (VALUES (c.barber_id), (0)) AS who (barber_id)
        GROUP BY 1, 2, 3, 4
        HAVING (sum(c.visits), sum(c.paid), sum(c.refunded)) <> (0, 0, 0)
        ORDER BY 1, 2, 3
        ON CONFLICT (client_id, barber_id, day) DO UPDATE SET
            visits = kept.visits + excluded.visits, paid = kept.paid + excluded.paid,
            refunded = kept.refunded + excluded.refunded
        RETURNING WITH (OLD AS before, NEW AS after)
            after.client_id, after.barber_id, after.day, after.organization_id, after.visits,
            (after.visits > 0)::int - coalesce(before.visits > 0, false)::int AS visit_days,
            after.paid - coalesce(before.paid, 0) AS paid,
            after.refunded - coalesce(before.refunded, 0) AS refunded
    )
    INSERT INTO client_totals AS kept (client_id, barber_id, organization_id, first_visit,
        last_visit, last_day, visit_days, paid, refunded)
    SELECT client_id, barber_id, organization_id, min(day) FILTER (WHERE visits > 0),
        max(day) FILTER (WHERE visits > 0), max(day), sum(visit_days), sum(paid), sum(refunded)
    FROM days GROUP BY client_id, barber_id, organization_id
    ON CONFLICT (client_id, barber_id) DO UPDATE SET
        first_visit = least(kept.first_visit, excluded.first_visit),
        last_visit = greatest(kept.last_visit, excluded.last_visit),
        last_day = greatest(kept.last_day, excluded.last_day),
        visit_days = kept.visit_days + excluded.visit_days, paid = kept.paid + excluded.paid,
        refunded = kept.refunded + excluded.refunded;
    {{tidy}}
    RETURN NULL;
END
$function$;
REVOKE ALL ON FUNCTION total_{{table}}_{{operation}}() FROM PUBLIC;
CREATE OR REPLACE TRIGGER total_{{operation}} AFTER {{operation}} ON {{table}}
    REFERENCING {{referencing}}
    FOR EACH STATEMENT EXECUTE FUNCTION total_{{table}}_{{operation}}();
