-- A new booking, which is what most events tell: without the rest of appointments.sql a
-- third of its trigger's cost is saved.
SELECT shop.id, format('{"organization_id":%s,"appointment":{"new":%s}}', shop.id,
    appointment_facts(n.id, n.barber_id, n.service_id, n.client_id, n.status, n.starts_at,
        n.blocked_from, n.blocked_until, shop.time_zone))::json
FROM new_rows n
JOIN organizations shop ON shop.id = n.organization_id
FOR SHARE OF shop
