-- The triggers count what changes from now on, this what was there before: each client's
-- totals are replaced under the lock that the triggers take, so a change is before it or after.
-- Only who changes money or visits of these clients waits, for one batch of them.
DO $$
DECLARE
    batch bigint[];
    last bigint := 0;
BEGIN
    LOOP
        batch := ARRAY(SELECT id FROM clients WHERE id > last ORDER BY id LIMIT 100);
        EXIT WHEN cardinality(batch) = 0;
        last := batch[cardinality(batch)];
        PERFORM FROM clients WHERE id = ANY (batch) ORDER BY id FOR NO KEY UPDATE;
        PERFORM FROM organizations
        WHERE id IN (SELECT organization_id FROM clients WHERE id = ANY (batch))
        ORDER BY id FOR SHARE;
        DELETE FROM client_days WHERE client_id = ANY (batch);
        DELETE FROM client_totals WHERE client_id = ANY (batch);
        INSERT INTO client_days
        SELECT counted.* FROM (
            SELECT DISTINCT organization_id FROM clients WHERE id = ANY (batch)) AS shops
        CROSS JOIN LATERAL count_client_days(shops.organization_id) counted
        WHERE counted.client_id = ANY (batch);
        INSERT INTO client_totals
        SELECT client_id, barber_id, organization_id, min(day) FILTER (WHERE visits > 0),
            max(day) FILTER (WHERE visits > 0), max(day),
            (count(*) FILTER (WHERE visits > 0))::integer, sum(paid), sum(refunded)
        FROM client_days WHERE client_id = ANY (batch)
        GROUP BY client_id, barber_id, organization_id;
        COMMIT;
    END LOOP;
END
$$;
