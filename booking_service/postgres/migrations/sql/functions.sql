-- Pieces of chairside.cache.v1.Event as proto3 JSON. SQL functions of one expression are
-- inlined, so they cost no call.

-- A google.type.Date of a local time.
CREATE FUNCTION event_day(local timestamp) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT to_char(local, '"{\"year\":"FMYYYY",\"month\":"FMMM",\"day\":"FMDD"}"')
$$;

-- An AppointmentFacts. A slot's own buffers are two hours at most, so blocked time
-- concerns each local day that it meets when widened by as much; a bound at midnight
-- does not meet the day that begins there.
CREATE FUNCTION appointment_facts(
    id bigint, barber_id bigint, service_id bigint, client_id bigint, status text,
    starts_at timestamptz, blocked_from timestamptz, blocked_until timestamptz, zone text
) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT format(
        '{"appointment_id":%s,"barber_id":%s,"service_id":%s,"client_id":%s,'
        '"status":"APPOINTMENT_STATUS_%s","date":%s,"blocked_from":%s,"blocked_to":%s}',
        id, barber_id, service_id, coalesce(client_id, 0), upper(status),
        event_day(starts_at AT TIME ZONE zone),
        event_day((blocked_from - INTERVAL '2 hours') AT TIME ZONE zone),
        event_day((blocked_until + INTERVAL '2 hours' - INTERVAL '1 microsecond')
            AT TIME ZONE zone))
$$;

-- A PaymentFacts; `moment` is when the money moved.
CREATE FUNCTION payment_facts(
    barber_id bigint, client_id bigint, moment timestamptz, appointment_id bigint,
    appointment_barber_id bigint, appointment_starts_at timestamptz, service_id bigint, zone text
) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT format('{"barber_id":%s,"client_id":%s,"date":%s', barber_id, coalesce(client_id, 0),
            event_day(moment AT TIME ZONE zone))
        || CASE WHEN appointment_id IS NULL THEN '' ELSE format(
            ',"appointment_id":%s,"appointment_barber_id":%s,"appointment_date":%s,"service_id":%s',
            appointment_id, appointment_barber_id,
            event_day(appointment_starts_at AT TIME ZONE zone), service_id) END
        || '}'
$$;

-- A ScheduleFacts; without `last` every day from the first.
CREATE FUNCTION schedule_facts(barber_id bigint, first timestamp, last timestamp) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT format('{"barber_id":%s,"from":%s', barber_id, event_day(first))
        || coalesce(',"to":' || event_day(last), '') || '}'
$$;

-- TRUNCATE has no transition tables, and no way to tell whose rows go: every shop's
-- answers do. Before, because organizations may be among what is truncated.
CREATE FUNCTION record_truncate() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    INSERT INTO outbox (organization_id, event)
    SELECT id, format('{"organization_id":%s,"organization":{}}', id)::json FROM organizations;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION record_truncate() FROM PUBLIC;
