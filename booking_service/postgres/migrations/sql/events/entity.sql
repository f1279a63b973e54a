-- A barber, a service or a client: whose it is says all.
SELECT organization_id, format(
    '{"organization_id":%s,"{{kind}}":{"{{kind}}_id":%s}}', organization_id, id)::json
FROM {{old}} o
{{join}} {{new}} n USING (organization_id, id)
WHERE o IS DISTINCT FROM n
