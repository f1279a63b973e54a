-- Days of nothing go, and first and last days are sought anew: for clients of whom
-- something was taken away, and whose rows the caller has locked.
CREATE OR REPLACE FUNCTION tidy_client_totals(clients bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
-- Planned anew for each array it costs three times what it does.
SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    DELETE FROM client_days
    WHERE client_id = ANY (clients) AND visits = 0 AND paid = 0 AND refunded = 0;
    UPDATE client_totals t
    SET first_visit = d.first_visit, last_visit = d.last_visit, last_day = d.last_day
    FROM (
        SELECT client_id, barber_id, min(day) FILTER (WHERE visits > 0) AS first_visit,
            max(day) FILTER (WHERE visits > 0) AS last_visit, max(day) AS last_day
        FROM client_days WHERE client_id = ANY (clients)
        GROUP BY client_id, barber_id
    ) d
    WHERE t.client_id = d.client_id AND t.barber_id = d.barber_id
        AND (t.first_visit, t.last_visit, t.last_day)
            IS DISTINCT FROM (d.first_visit, d.last_visit, d.last_day);
    DELETE FROM client_totals
    WHERE client_id = ANY (clients) AND visit_days = 0 AND paid = 0 AND refunded = 0;
END
$$;
REVOKE ALL ON FUNCTION tidy_client_totals(bigint[]) FROM PUBLIC;
