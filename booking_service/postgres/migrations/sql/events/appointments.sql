SELECT shop.id, format('{"organization_id":%s,"appointment":{%s}}', shop.id, concat_ws(',',
    CASE WHEN o.id IS NOT NULL THEN '"old":' || appointment_facts(o.id, o.barber_id,
        o.service_id, o.client_id, o.status, o.starts_at, o.blocked_from, o.blocked_until,
        shop.time_zone) END,
    CASE WHEN n.id IS NOT NULL THEN '"new":' || appointment_facts(n.id, n.barber_id,
        n.service_id, n.client_id, n.status, n.starts_at, n.blocked_from, n.blocked_until,
        shop.time_zone) END,
    -- hold_until is set for pending ones only, so it tells those apart as well.
    CASE WHEN (o.id, o.barber_id, o.service_id, o.starts_at, o.ends_at, o.blocked,
            o.status = 'cancelled', o.hold_until)
        IS NOT DISTINCT FROM (n.id, n.barber_id, n.service_id, n.starts_at, n.ends_at, n.blocked,
            n.status = 'cancelled', n.hold_until)
        THEN '"availability_unchanged":true' END))::json
FROM {{old}} o
{{join}} {{new}} n ON n.id = o.id AND n.organization_id = o.organization_id
JOIN organizations shop ON shop.id = coalesce(n.organization_id, o.organization_id)
WHERE o IS DISTINCT FROM n
-- A shop that changes its zone waits for this event or this event for it: the days are
-- those of the zone in force when it commits.
FOR SHARE OF shop
