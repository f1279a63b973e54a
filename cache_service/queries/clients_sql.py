"""The clients of a shop or a barber as of a day, from the totals that the triggers keep.

It refers to `shop` and `asked` as `reports_sql` does.
"""

__all__ = ["OF_DAYS", "clients", "visit_days"]

OF_DAYS = """
    FROM organizations shop
    CROSS JOIN unnest(CAST(:barber_ids AS bigint[]), CAST(:as_ofs AS date[])) WITH ORDINALITY
        AS asked (barber_id, as_of, number)
    WHERE shop.id = :organization_id
"""
"""Where a report comes from that is asked as of asked.as_of."""


def clients(as_of: str) -> str:
    """Give client_id, visits, first_visit, last_visit and spent of all with a visit before.

    What happened since is taken off the totals of all time, so that as of today next to
    nothing is read of history; and only of clients of whom there is any.
    """
    return f"""
    (SELECT t.client_id, t.visit_days - since.visits AS visits, t.first_visit,
            CASE WHEN t.last_visit < {as_of} THEN t.last_visit ELSE (
                SELECT max(d.day) FROM client_days d
                WHERE d.client_id = t.client_id AND d.barber_id = t.barber_id
                  AND d.day < {as_of} AND d.visits > 0
            ) END AS last_visit,
            t.paid - t.refunded - since.spent AS spent
     FROM client_totals t
     CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE d.visits > 0) AS visits,
               coalesce(sum(d.paid - d.refunded), 0) AS spent
        FROM client_days d
        WHERE t.last_day >= {as_of} AND d.client_id = t.client_id
          AND d.barber_id = t.barber_id AND d.day >= {as_of}
     ) since
     WHERE t.organization_id = shop.id AND t.barber_id = asked.barber_id
       AND t.first_visit < {as_of}
     OFFSET 0  -- or last_visit would be sought again wherever it is used
    )"""  # noqa: S608 - constants


def visit_days(first: str, last: str) -> str:
    """Give client_id and day of all visits in the local days."""
    return f"""
    (SELECT d.client_id, d.day FROM client_days d
     WHERE d.organization_id = shop.id AND d.barber_id = asked.barber_id
       AND d.day >= {first} AND d.day < {last} AND d.visits > 0)"""  # noqa: S608 - constants
