SELECT organization_id, format(
    '{"organization_id":%s,"schedule":{"part":"SCHEDULE_PART_SPECIAL_HOURS",%s}}',
    organization_id, concat_ws(',',
        CASE WHEN o.day IS NOT NULL
            THEN '"old":' || schedule_facts(barber_id, o.day, o.day) END,
        CASE WHEN n.day IS NOT NULL
            THEN '"new":' || schedule_facts(barber_id, n.day, n.day) END))::json
FROM {{old}} o
{{join}} {{new}} n USING (organization_id, barber_id, day)
WHERE o IS DISTINCT FROM n
