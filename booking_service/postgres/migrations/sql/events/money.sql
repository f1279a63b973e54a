SELECT shop.id, format('{"organization_id":%s,"payment":{%s}}', shop.id, concat_ws(',',
    CASE WHEN o.id IS NOT NULL THEN '"old":' || payment_facts(o.barber_id, o.client_id,
        o.{{moment}}, o.appointment_id, o.appointment_barber_id, o.appointment_starts_at,
        o.service_id, shop.time_zone) END,
    CASE WHEN n.id IS NOT NULL THEN '"new":' || payment_facts(n.barber_id, n.client_id,
        n.{{moment}}, n.appointment_id, n.appointment_barber_id, n.appointment_starts_at,
        n.service_id, shop.time_zone) END))::json
FROM {{old}} o
{{join}} {{new}} n ON n.id = o.id AND n.organization_id = o.organization_id
JOIN organizations shop ON shop.id = coalesce(n.organization_id, o.organization_id)
WHERE o IS DISTINCT FROM n
FOR SHARE OF shop
