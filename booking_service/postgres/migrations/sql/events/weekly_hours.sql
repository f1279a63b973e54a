-- One event a barber, not one a weekday: it says from which day on.
SELECT organization_id, format(
    '{"organization_id":%s,"schedule":{"part":"SCHEDULE_PART_WEEKLY_HOURS",%s}}',
    organization_id, concat_ws(',',
        CASE WHEN gone.day IS NOT NULL
            THEN '"old":' || schedule_facts(barber_id, gone.day, NULL) END,
        CASE WHEN came.day IS NOT NULL
            THEN '"new":' || schedule_facts(barber_id, came.day, NULL) END))::json
FROM (
    SELECT organization_id, barber_id, min(valid_from) AS day
    FROM (SELECT * FROM {{old}} o EXCEPT SELECT * FROM {{new}} n) AS changed
    GROUP BY organization_id, barber_id) AS gone
{{join}} (
    SELECT organization_id, barber_id, min(valid_from) AS day
    FROM (SELECT * FROM {{new}} n EXCEPT SELECT * FROM {{old}} o) AS changed
    GROUP BY organization_id, barber_id) AS came
USING (organization_id, barber_id)
