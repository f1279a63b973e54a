"""The tables that keep caches right: idempotency, the outbox, and who may serve."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSON, JSONB

from booking_service.postgres.columns import INSTANT, XID8, metadata

__all__ = ["authority", "idempotent_requests", "members", "outbox", "request_ids"]

request_ids = Table(
    "request_ids",
    metadata,
    # 0 for a request that makes an organization.
    Column("organization_id", BigInteger, primary_key=True, autoincrement=False),
    Column("request_id", Uuid, primary_key=True),
    Column("method", Text, nullable=False),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("response", LargeBinary),
    Column("events", JSONB),
    Column("created_at", INSTANT, nullable=False),
    Index("request_ids_by_age", "created_at"),
)

# What the version before uses instead; triggers of the other keep it alike.
idempotent_requests = Table(
    "idempotent_requests",
    metadata,
    Column("request_id", Uuid, primary_key=True),
    Column("method", Text, nullable=False),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("response", LargeBinary),
    Column("events", JSONB),
    Column("created_at", INSTANT, nullable=False),
    Index("idempotent_requests_by_age", "created_at"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("xid", XID8, primary_key=True, server_default=text("pg_current_xact_id()")),
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("organization_id", BigInteger, nullable=False),
    Column("event", JSON, nullable=False),
    Column("created_at", INSTANT, nullable=False, server_default=text("clock_timestamp()")),
    Index("outbox_by_organization", "organization_id", "xid"),
)

authority = Table(
    "authority",
    metadata,
    Column("singleton", Boolean, primary_key=True, server_default=text("true")),
    Column("epoch", Uuid, nullable=False, server_default=text("gen_random_uuid()")),
    Column("redis_identity", Text),
    Column("rules_version", Integer, nullable=False, server_default=text("0")),
)

members = Table(
    "members",
    metadata,
    Column("member_id", Uuid, primary_key=True),
    Column("registered_at", INSTANT, nullable=False, server_default=text("clock_timestamp()")),
    Column("expelled_at", INSTANT),
)
