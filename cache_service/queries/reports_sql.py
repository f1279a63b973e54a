"""The pieces of the reports' statements, each a scalar subquery that gives JSON.

They refer to `shop` (the organization's row) and `asked` (one row for each report asked
for: `number`, `barber_id`, and its days). `first` and `last` are SQL expressions of local
days, half-open. Bounds in UTC, a day wider, are for the indexes; the local day decides.
Only constants of this package are put together here, never a caller's text.
"""

__all__ = [
    "HEAD",
    "OF_RANGES",
    "SERVICE_NAMES",
    "booked_seconds",
    "counted",
    "hours",
    "money_by_day",
    "sold",
    "totals",
    "visitors",
]

HEAD = """
    SELECT asked.number, shop.currency, shop.time_zone,
        EXISTS (SELECT FROM barbers b
                WHERE b.organization_id = shop.id AND b.id = asked.barber_id) AS known
"""

OF_RANGES = """
    FROM organizations shop
    CROSS JOIN unnest(CAST(:barber_ids AS bigint[]), CAST(:firsts AS date[]),
                      CAST(:lasts AS date[])) WITH ORDINALITY
        AS asked (barber_id, first, last, number)
    WHERE shop.id = :organization_id
"""
"""Where a report comes from that is asked of the local days [asked.first, asked.last)."""
SERVICE_NAMES = """
    (SELECT json_object_agg(s.id, s.name) FROM services s
     WHERE s.organization_id = shop.id)::text"""
"""Every service's name by its id, deleted ones included."""


def _within(moment: str, first: str, last: str) -> str:
    """Choose moments of the days; only those near either end are asked for their local day."""
    return f"""
        {moment} >= ({first} - 1)::timestamp AT TIME ZONE 'UTC'
        AND {moment} < ({last} + 1)::timestamp AT TIME ZONE 'UTC'
        AND ({moment} >= ({first} + 1)::timestamp AT TIME ZONE 'UTC'
             OR ({moment} AT TIME ZONE shop.time_zone)::date >= {first})
        AND ({moment} < ({last} - 1)::timestamp AT TIME ZONE 'UTC'
             OR ({moment} AT TIME ZONE shop.time_zone)::date < {last})"""


def _booked(first: str, last: str) -> str:
    """Choose the appointments `a` of the shop or its barber that start in the days."""
    return f"""
        a.organization_id = shop.id
        AND (asked.barber_id = 0 OR a.barber_id = asked.barber_id)
        AND {_within("a.starts_at", first, last)}"""


def money_by_day(first: str, last: str) -> str:
    """Give [day, paid, payments, given back, refunds] for each local day that has any."""
    return f"""
    (SELECT json_agg(json_build_array(d.day, d.paid, d.payments, d.refunded, d.refunds)
                     ORDER BY d.day)
     FROM (
        SELECT m.day, coalesce(sum(m.paid), 0) AS paid, count(m.paid) AS payments,
               coalesce(sum(m.refunded), 0) AS refunded, count(m.refunded) AS refunds
        FROM (
            SELECT (p.paid_at AT TIME ZONE shop.time_zone)::date AS day, p.amount AS paid,
                   NULL::numeric AS refunded
            FROM payments p
            WHERE p.organization_id = shop.id AND p.status = 'completed'
              AND (asked.barber_id = 0 OR p.barber_id = asked.barber_id)
              AND {_within("p.paid_at", first, last)}
            UNION ALL
            SELECT (r.refunded_at AT TIME ZONE shop.time_zone)::date, NULL, r.amount
            FROM refunds r
            WHERE r.organization_id = shop.id
              AND (asked.barber_id = 0 OR r.barber_id = asked.barber_id)
              AND {_within("r.refunded_at", first, last)}
        ) m GROUP BY m.day
     ) d)::text"""  # noqa: S608 - constants


def counted(first: str, last: str) -> str:
    """Give [service, hour, weekday, month, status, appointments, seconds] by status.

    Of each row one of service, local hour, weekday (0 is Monday) and month of the year is
    there, and the others null: four tables from one look at the appointments.
    """
    return f"""
    (SELECT json_agg(json_build_array(
        d.service_id, d.hour, d.weekday, d.month, d.status, d.number, d.seconds))
     FROM (
        SELECT l.service_id, l.hour, l.weekday, l.month, l.status, count(*) AS number,
               extract(epoch FROM sum(l.length))::bigint AS seconds
        FROM (
            SELECT w.service_id, w.status, w.length, date_part('hour', w.start)::int AS hour,
                   date_part('isodow', w.start)::int - 1 AS weekday,
                   date_part('month', w.start)::int AS month
            FROM (
                SELECT a.service_id, a.status, a.ends_at - a.starts_at AS length,
                       a.starts_at AT TIME ZONE shop.time_zone AS start
                FROM appointments a
                WHERE {_booked(first, last)}
                OFFSET 0  -- or the local start would be worked out three times for each
            ) w
        ) l
        GROUP BY GROUPING SETS ((l.service_id, l.status), (l.hour, l.status),
                                (l.weekday, l.status), (l.month, l.status))
     ) d)::text"""  # noqa: S608 - constants


def totals(first: str, last: str) -> str:
    """Give [appointments, completed ones, clients with a visit]."""
    return f"""
    (SELECT json_build_array(
        count(*), count(*) FILTER (WHERE a.status = 'completed'),
        count(DISTINCT a.client_id) FILTER (WHERE a.status = 'completed'))
     FROM appointments a
     WHERE {_booked(first, last)})::text"""  # noqa: S608 - constants


def booked_seconds(first: str, last: str) -> str:
    """Give the seconds of completed appointments."""
    return f"""
    (SELECT coalesce(sum(extract(epoch FROM a.ends_at - a.starts_at)), 0)::bigint
     FROM appointments a
     WHERE a.status = 'completed' AND {_booked(first, last)})"""  # noqa: S608 - constants


def visitors(first: str, last: str) -> str:
    """Give [clients with a visit, those with two or more]; a visit is a local day."""
    return f"""
    (SELECT json_build_array(count(*), count(*) FILTER (WHERE c.visits > 1))
     FROM (
        SELECT count(DISTINCT (a.starts_at AT TIME ZONE shop.time_zone)::date) AS visits
        FROM appointments a
        WHERE a.status = 'completed' AND a.client_id IS NOT NULL AND {_booked(first, last)}
        GROUP BY a.client_id
     ) c)::text"""  # noqa: S608 - constants


def sold(first: str, last: str) -> str:
    """Give [service, paid, payments, given back] of the appointments that start in the days.

    Whoever took the money, and whenever: by the copies that it carries of its appointment.
    """
    days = _within("m.appointment_starts_at", first, last)
    return f"""
    (SELECT json_agg(json_build_array(d.service_id, d.paid, d.payments, d.refunded))
     FROM (
        SELECT m.service_id, coalesce(sum(m.paid), 0) AS paid, count(m.paid) AS payments,
               coalesce(sum(m.refunded), 0) AS refunded
        FROM (
            SELECT m.service_id, m.amount AS paid, NULL::numeric AS refunded
            FROM payments m
            WHERE m.organization_id = shop.id AND m.status = 'completed'
              AND (asked.barber_id = 0 OR m.appointment_barber_id = asked.barber_id)
              AND {days}
            UNION ALL
            SELECT m.service_id, NULL, m.amount
            FROM refunds m
            WHERE m.organization_id = shop.id
              AND (asked.barber_id = 0 OR m.appointment_barber_id = asked.barber_id)
              AND {days}
        ) m
        GROUP BY m.service_id
     ) d)::text"""  # noqa: S608 - constants


def hours(first: str, last: str) -> str:
    """Give [weeks, special days, time off] of the barber, or of each active one of the shop."""
    return f"""
    (SELECT json_agg(json_build_array(
        (SELECT json_agg(json_build_array(w.valid_from, w.weekday,
            (SELECT json_agg(json_build_array(lower(p), upper(p)) ORDER BY p)
             FROM unnest(w.periods) p)) ORDER BY w.valid_from)
         FROM weekly_hours w
         WHERE w.organization_id = shop.id AND w.barber_id = b.id AND w.valid_from < {last}),
        (SELECT json_agg(json_build_array(h.day,
            (SELECT json_agg(json_build_array(lower(p), upper(p)) ORDER BY p)
             FROM unnest(h.periods) p)))
         FROM special_hours h
         WHERE h.organization_id = shop.id AND h.barber_id = b.id
           AND h.day >= {first} AND h.day < {last}),
        (SELECT json_agg(json_build_array(t.starts_at, t.ends_at))
         FROM time_off t
         WHERE t.organization_id = shop.id AND t.barber_id = b.id
           AND t.ends_at > ({first} - 1)::timestamp AT TIME ZONE 'UTC'
           AND t.starts_at < ({last} + 1)::timestamp AT TIME ZONE 'UTC')
     ))
     FROM barbers b
     WHERE b.organization_id = shop.id
       AND CASE WHEN asked.barber_id = 0 THEN b.active ELSE b.id = asked.barber_id END
    )::text"""  # noqa: S608 - constants
