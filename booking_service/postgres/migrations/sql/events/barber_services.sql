SELECT organization_id, format(
    '{"organization_id":%s,"barber":{"barber_id":%s,"service_id":%s}}',
    organization_id, barber_id, service_id)::json
FROM {{old}} o
{{join}} {{new}} n USING (organization_id, barber_id, service_id)
WHERE o IS DISTINCT FROM n
