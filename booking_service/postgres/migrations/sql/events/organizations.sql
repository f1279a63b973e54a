SELECT id, format('{"organization_id":%s,"organization":{}}', id)::json
FROM {{old}} o
{{join}} {{new}} n USING (id)
WHERE o IS DISTINCT FROM n
