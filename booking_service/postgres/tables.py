"""The tables, for queries; `migrations/sql/tables.sql` makes them and says more about each.

Every id is a bigint identity, every instant timestamptz, money numeric(12,2), and
minutes count from local midnight. Row checks and triggers live in the migrations only.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Computed,
    Date,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import INT4MULTIRANGE, TSRANGE, ExcludeConstraint

from booking_service.postgres.coherence_tables import (
    authority,
    idempotent_requests,
    members,
    outbox,
    request_ids,
)
from booking_service.postgres.columns import (
    INSTANT,
    MONEY,
    created_at,
    key,
    metadata,
    of_organization,
    organization,
    same_shop,
    text_column,
    version,
)
from booking_service.postgres.totals_tables import client_days, client_totals

__all__ = [
    "appointments",
    "authority",
    "barber_services",
    "barbers",
    "client_days",
    "client_totals",
    "clients",
    "idempotent_requests",
    "members",
    "metadata",
    "organizations",
    "outbox",
    "payments",
    "refunds",
    "request_ids",
    "services",
    "special_hours",
    "time_off",
    "weekly_hours",
]


def _shop() -> Column[int]:
    return Column("organization_id", ForeignKey("organizations.id"), nullable=False)


def _periods() -> Column[object]:
    return Column("periods", INT4MULTIRANGE, nullable=False, server_default=text("'{}'"))


def _index_if_known(table: str, column: str) -> Index:
    name = f"{table}_by_{column.removesuffix('_id')}"
    return Index(name, column, postgresql_where=text(f"{column} IS NOT NULL"))


def _index_of_work(table: str) -> Index:
    return Index(
        f"{table}_by_appointment_start",
        "organization_id",
        "appointment_starts_at",
        postgresql_where=text("appointment_starts_at IS NOT NULL"),
    )


def _money_of_appointment(moment: str) -> tuple[Column[object], ...]:
    """Return a payment's or refund's common columns, copies of its appointment included."""
    return (
        Column("organization_id", BigInteger, nullable=False),
        Column("appointment_id", ForeignKey("appointments.id")),
        Column("barber_id", BigInteger, nullable=False),
        Column("client_id", BigInteger),
        Column("service_id", BigInteger),
        Column("appointment_barber_id", BigInteger),
        Column("appointment_starts_at", INSTANT),
        Column("amount", MONEY, nullable=False),
        Column(moment, INSTANT, nullable=False),
        Column("created_at", INSTANT, nullable=False, server_default=text("now()")),
    )


organizations = Table(
    "organizations",
    metadata,
    key(),
    Column("name", Text, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("slot_interval_minutes", Integer, nullable=False, server_default=text("15")),
    Column("lead_time_minutes", Integer, nullable=False, server_default=text("15")),
    Column("horizon_days", Integer, nullable=False, server_default=text("90")),
    version(),
    created_at(),
)

barbers = Table(
    "barbers",
    metadata,
    key(),
    _shop(),
    Column("name", Text, nullable=False),
    Column("active", Boolean, nullable=False, server_default=text("true")),
    version(),
    created_at(),
    of_organization("barbers"),
)

services = Table(
    "services",
    metadata,
    key(),
    _shop(),
    Column("name", Text, nullable=False),
    text_column("category"),
    Column("duration_minutes", Integer, nullable=False),
    Column("buffer_before_minutes", Integer, nullable=False, server_default=text("0")),
    Column("buffer_after_minutes", Integer, nullable=False, server_default=text("0")),
    Column("price", MONEY, nullable=False),
    Column("deleted", Boolean, nullable=False, server_default=text("false")),
    version(),
    created_at(),
    Column("external_code", Text),
    of_organization("services"),
)

barber_services = Table(
    "barber_services",
    metadata,
    organization(),
    Column("barber_id", BigInteger, primary_key=True),
    Column("service_id", BigInteger, primary_key=True),
    Column("offered", Boolean, nullable=False, server_default=text("true")),
    Column("price", MONEY),
    Column("duration_minutes", Integer),
    version(),
    same_shop("barber_services_barber", "barber_id", "barbers"),
    same_shop("barber_services_service", "service_id", "services"),
)

clients = Table(
    "clients",
    metadata,
    key(),
    _shop(),
    Column("name", Text, nullable=False),
    text_column("email"),
    text_column("phone"),
    text_column("notes"),
    Column("deleted", Boolean, nullable=False, server_default=text("false")),
    version(),
    created_at(),
    Column("external_code", Text),
    of_organization("clients"),
)

weekly_hours = Table(
    "weekly_hours",
    metadata,
    organization(),
    Column("barber_id", BigInteger, primary_key=True),
    Column("valid_from", Date, primary_key=True),
    Column("weekday", SmallInteger, primary_key=True),
    _periods(),
    same_shop("weekly_hours_barber", "barber_id", "barbers"),
)

special_hours = Table(
    "special_hours",
    metadata,
    organization(),
    Column("barber_id", BigInteger, primary_key=True),
    Column("day", Date, primary_key=True),
    _periods(),
    same_shop("special_hours_barber", "barber_id", "barbers"),
)

time_off = Table(
    "time_off",
    metadata,
    key(),
    organization(),
    Column("barber_id", BigInteger, nullable=False),
    Column("starts_at", INSTANT, nullable=False),
    Column("ends_at", INSTANT, nullable=False),
    text_column("reason"),
    same_shop("time_off_barber", "barber_id", "barbers"),
    Index("time_off_by_end", "barber_id", "ends_at"),
)

appointments = Table(
    "appointments",
    metadata,
    key(),
    organization(),
    Column("barber_id", BigInteger, nullable=False),
    Column("service_id", BigInteger, nullable=False),
    Column("client_id", BigInteger),
    Column("status", Text, nullable=False),
    Column("starts_at", INSTANT, nullable=False),
    Column("ends_at", INSTANT, nullable=False),
    Column("blocked_from", INSTANT, nullable=False),
    Column("blocked_until", INSTANT, nullable=False),
    Column(
        "blocked",
        TSRANGE,
        Computed(
            "tsrange(blocked_from AT TIME ZONE 'UTC', blocked_until AT TIME ZONE 'UTC')",
            persisted=True,
        ),
        nullable=False,
    ),
    Column("price", MONEY, nullable=False),
    text_column("notes"),
    Column("hold_until", INSTANT),
    text_column("cancellation_reason"),
    version(),
    created_at(),
    same_shop("appointments_barber", "barber_id", "barbers"),
    same_shop("appointments_service", "service_id", "services"),
    same_shop("appointments_client", "client_id", "clients"),
    ExcludeConstraint(
        ("barber_id", "="),
        ("blocked", "&&"),
        name="appointments_no_overlap",
        where=text("status <> 'cancelled'"),
    ),
    Index("appointments_by_start", "organization_id", "starts_at", "id"),
    Index(
        "appointments_by_client",
        "client_id",
        "starts_at",
        postgresql_where=text("client_id IS NOT NULL"),
    ),
)

payments = Table(
    "payments",
    metadata,
    key(),
    *_money_of_appointment("paid_at"),
    Column("status", Text, nullable=False, server_default=text("'completed'")),
    text_column("method"),
    of_organization("payments"),
    same_shop("payments_barber", "barber_id", "barbers"),
    same_shop("payments_client", "client_id", "clients"),
    Index("payments_by_time", "organization_id", "paid_at"),
    _index_of_work("payments"),
    *(_index_if_known("payments", name) for name in ("appointment_id", "client_id")),
)

refunds = Table(
    "refunds",
    metadata,
    key(),
    *_money_of_appointment("refunded_at"),
    Column("payment_id", BigInteger),
    text_column("reason"),
    same_shop("refunds_payment", "payment_id", "payments"),
    same_shop("refunds_barber", "barber_id", "barbers"),
    same_shop("refunds_client", "client_id", "clients"),
    Index("refunds_by_time", "organization_id", "refunded_at"),
    _index_of_work("refunds"),
    *(_index_if_known("refunds", name) for name in ("payment_id", "appointment_id", "client_id")),
)
