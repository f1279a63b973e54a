SELECT id, format('{"organization_id":%s,"organization":{}}', id)::json
FROM {{old}} o
{{join}} {{new}} n USING (id)
WHERE o IS DISTINCT FROM n
-- Another zone is told by zones.sql.
AND (o.id IS NULL OR n.id IS NULL OR o.time_zone = n.time_zone)
