"""The columns and constraints that many tables share."""

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Identity,
    MetaData,
    Numeric,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.types import UserDefinedType

__all__ = [
    "INSTANT",
    "MONEY",
    "XID8",
    "created_at",
    "key",
    "metadata",
    "of_organization",
    "organization",
    "same_shop",
    "text_column",
    "version",
]

metadata = MetaData()

MONEY = Numeric(12, 2)
INSTANT = DateTime(timezone=True)


class XID8(UserDefinedType[int]):
    """Hold a 64-bit transaction id, an int in Python; it never wraps around."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """Return the type's name in DDL."""
        return "xid8"


def key() -> Column[int]:
    """Return an `id` that the database gives, or the writer."""
    return Column("id", BigInteger, Identity(always=False), primary_key=True)


def organization() -> Column[int]:
    """Return an `organization_id` whose foreign key is part of another one."""
    return Column("organization_id", BigInteger, nullable=False)


def version() -> Column[int]:
    """Return the `version` that etags are made of; each client's UPDATE adds 1."""
    return Column("version", BigInteger, nullable=False, server_default=text("1"))


def created_at() -> Column[object]:
    """Return the instant of the insert, by the database's clock."""
    return Column("created_at", INSTANT, nullable=False, server_default=text("now()"))


def text_column(name: str) -> Column[str]:
    """Return a text that is empty unless given."""
    return Column(name, Text, nullable=False, server_default=text("''"))


def same_shop(name: str, column: str, table: str) -> ForeignKeyConstraint:
    """Refer to a row of the same organization; a row of another shop is refused."""
    return ForeignKeyConstraint(
        ["organization_id", column], [f"{table}.organization_id", f"{table}.id"], name=name
    )


def of_organization(table: str) -> UniqueConstraint:
    """Return the key that `same_shop` refers to."""
    return UniqueConstraint("organization_id", "id", name=f"{table}_of_organization")
