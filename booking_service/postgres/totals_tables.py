"""The totals of clients that reports read instead of all history; triggers keep them."""

from sqlalchemy import BigInteger, Column, Date, Index, Integer, Numeric, Table

from booking_service.postgres.columns import metadata, organization

__all__ = ["client_days", "client_totals"]

_SUM = Numeric(20, 2)


def _whose(name: str) -> Column[int]:
    return Column(name, BigInteger, primary_key=True, autoincrement=False)


def _sums() -> tuple[Column[object], ...]:
    return tuple(Column(name, _SUM, nullable=False) for name in ("paid", "refunded"))


client_days = Table(
    "client_days",
    metadata,
    _whose("client_id"),
    _whose("barber_id"),
    Column("day", Date, primary_key=True),
    organization(),
    Column("visits", Integer, nullable=False),
    *_sums(),
    Index(
        "client_days_by_day",
        "organization_id",
        "barber_id",
        "day",
        postgresql_include=["client_id", "visits"],
    ),
)

client_totals = Table(
    "client_totals",
    metadata,
    _whose("client_id"),
    _whose("barber_id"),
    organization(),
    Column("first_visit", Date),
    Column("last_visit", Date),
    Column("last_day", Date, nullable=False),
    Column("visit_days", Integer, nullable=False),
    *_sums(),
    Index("client_totals_by_barber", "organization_id", "barber_id"),
)
