"""The pieces of the reports' statements, each a scalar subquery that gives JSON.

They refer to `shop` (the organization's row) and `asked` (one row for each report asked
for: `number`, `barber_id`, and its days). `first` and `last` are SQL expressions of local
days, half-open. Bounds in UTC, a day wider, are for the indexes; the local day decides.
Only constants of this package are put together here, never a caller's text.
"""

__all__ = ["HEAD", "booked", "earned_by_service", "hours", "money_by_day"]

HEAD = """
    SELECT asked.number, shop.currency, shop.time_zone,
        EXISTS (SELECT FROM barbers b
                WHERE b.organization_id = shop.id AND b.id = asked.barber_id) AS known
"""


def _within(moment: str, first: str, last: str) -> str:
    return f"""
        {moment} >= ({first} - 1)::timestamp AT TIME ZONE 'UTC'
        AND {moment} < ({last} + 1)::timestamp AT TIME ZONE 'UTC'
        AND ({moment} AT TIME ZONE shop.time_zone)::date >= {first}
        AND ({moment} AT TIME ZONE shop.time_zone)::date < {last}"""


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


def booked(first: str, last: str) -> str:
    """Give [service, status, hour, appointments, seconds] by service, status and local hour."""
    return f"""
    (SELECT json_agg(json_build_array(d.service_id, d.status, d.hour, d.number, d.seconds))
     FROM (
        SELECT a.service_id, a.status,
               extract(hour FROM a.starts_at AT TIME ZONE shop.time_zone)::int AS hour,
               count(*) AS number,
               sum(extract(epoch FROM a.ends_at - a.starts_at))::bigint AS seconds
        FROM appointments a
        WHERE a.organization_id = shop.id
          AND (asked.barber_id = 0 OR a.barber_id = asked.barber_id)
          AND {_within("a.starts_at", first, last)}
        GROUP BY 1, 2, 3
     ) d)::text"""  # noqa: S608 - constants


def earned_by_service(first: str, last: str) -> str:
    """Give [service, revenue] of the appointments that start in the days, whoever took it."""
    return f"""
    (SELECT json_agg(json_build_array(d.service_id, d.revenue))
     FROM (
        SELECT a.service_id, sum(m.amount) AS revenue
        FROM appointments a
        CROSS JOIN LATERAL (
            SELECT p.amount FROM payments p
            WHERE p.organization_id = shop.id AND p.appointment_id = a.id
              AND p.status = 'completed'
            UNION ALL
            SELECT -r.amount FROM refunds r
            WHERE r.organization_id = shop.id AND r.appointment_id = a.id
        ) m
        WHERE a.organization_id = shop.id
          AND (asked.barber_id = 0 OR a.barber_id = asked.barber_id)
          AND {_within("a.starts_at", first, last)}
        GROUP BY a.service_id
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
