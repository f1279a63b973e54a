SELECT shop.id, format(
    '{"organization_id":%s,"schedule":{"part":"SCHEDULE_PART_TIME_OFF",%s}}', shop.id,
    concat_ws(',',
        CASE WHEN o.id IS NOT NULL THEN '"old":' || schedule_facts(o.barber_id,
            o.starts_at AT TIME ZONE shop.time_zone,
            (o.ends_at - INTERVAL '1 microsecond') AT TIME ZONE shop.time_zone) END,
        CASE WHEN n.id IS NOT NULL THEN '"new":' || schedule_facts(n.barber_id,
            n.starts_at AT TIME ZONE shop.time_zone,
            (n.ends_at - INTERVAL '1 microsecond') AT TIME ZONE shop.time_zone) END))::json
FROM {{old}} o
{{join}} {{new}} n ON n.id = o.id AND n.organization_id = o.organization_id
JOIN organizations shop ON shop.id = coalesce(n.organization_id, o.organization_id)
WHERE o IS DISTINCT FROM n
FOR SHARE OF shop
