-- The totals counted anew: for a new zone, after TRUNCATE, and for the operator.

-- A shop's client_days as its rows say.
CREATE OR REPLACE FUNCTION count_client_days(shop bigint) RETURNS SETOF client_days
LANGUAGE sql STABLE AS $$
    SELECT r.client_id, who.barber_id, (r.moment AT TIME ZONE o.time_zone)::date, shop,
        sum(r.visits)::integer, sum(r.paid), sum(r.refunded)
    FROM organizations o
    CROSS JOIN (
        SELECT client_id, barber_id, starts_at AS moment, 1 AS visits, 0.00 AS paid,
            0.00 AS refunded
        FROM appointments WHERE organization_id = shop AND status = 'completed'
        UNION ALL
        SELECT client_id, barber_id, paid_at, 0, amount, 0
        FROM payments WHERE organization_id = shop AND status = 'completed'
        UNION ALL
        SELECT client_id, barber_id, refunded_at, 0, 0, amount
        FROM refunds WHERE organization_id = shop
    ) r
    CROSS JOIN LATERAL (VALUES (r.barber_id), (0)) AS who (barber_id)
    WHERE o.id = shop AND r.client_id IS NOT NULL
    GROUP BY 1, 2, 3
$$;

-- A shop's client_totals as its client_days say.
CREATE OR REPLACE FUNCTION count_client_totals(shop bigint) RETURNS SETOF client_totals
LANGUAGE sql STABLE AS $$
    SELECT client_id, barber_id, shop, min(day) FILTER (WHERE visits > 0),
        max(day) FILTER (WHERE visits > 0), max(day),
        (count(*) FILTER (WHERE visits > 0))::integer, sum(paid), sum(refunded)
    FROM client_days WHERE organization_id = shop
    GROUP BY client_id, barber_id
$$;

-- Readers go on with the old totals until the caller commits.
CREATE OR REPLACE FUNCTION replace_client_totals(shops bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE feature_not_supported USING
            MESSAGE = 'client totals are counted anew in READ COMMITTED only',
            DETAIL = 'A snapshot from before the lock would miss what others just committed.';
    END IF;
    -- Waits for all who changed the shops' rows, for they hold it FOR SHARE; others wait.
    PERFORM FROM organizations WHERE id = ANY (shops) ORDER BY id FOR NO KEY UPDATE;
    DELETE FROM client_days WHERE organization_id = ANY (shops);
    DELETE FROM client_totals WHERE organization_id = ANY (shops);
    INSERT INTO client_days SELECT c.* FROM unnest(shops) shop, count_client_days(shop) c;
    INSERT INTO client_totals SELECT c.* FROM unnest(shops) shop, count_client_totals(shop) c;
END
$$;

-- For the operator. Had the totals been wrong, so are the answers made of them: it tells
-- that everything of the shop changed.
CREATE OR REPLACE FUNCTION rebuild_client_totals(shop bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM replace_client_totals(ARRAY[shop]);
    INSERT INTO outbox (organization_id, event)
    VALUES (shop, format('{"organization_id":%s,"organization":{}}', shop)::json);
END
$$;

-- The zone's change has its event.
CREATE OR REPLACE FUNCTION total_zone() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM replace_client_totals(ARRAY[new.id]);
    RETURN NULL;
END
$$;

-- Shops that were truncated along have totals yet. No TRUNCATE here: who reads with an
-- older snapshot would find no totals beside all the rows.
CREATE OR REPLACE FUNCTION total_truncate() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM replace_client_totals(ARRAY(
        SELECT id FROM organizations UNION SELECT organization_id FROM client_days));
    RETURN NULL;
END
$$;

REVOKE ALL ON FUNCTION count_client_days(bigint), count_client_totals(bigint),
    replace_client_totals(bigint[]), rebuild_client_totals(bigint), total_zone(), total_truncate()
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION count_client_days(bigint), count_client_totals(bigint),
    rebuild_client_totals(bigint) TO chairside_booking;
