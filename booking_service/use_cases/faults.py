"""Tell apart what the database's errors mean to a caller."""

from typing import NoReturn

from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from booking_service.use_cases.room import slot_taken
from booking_service.use_cases.transaction import Contended
from service_kit.errors import ResourceExhausted, ServiceError, Unavailable

__all__ = ["is_contention", "raise_translated"]

_CONTENTION = ("40001", "40P01")
_OVERLAP = "23P01"
# Connection lost, server starting or stopping, out of connections, or none for us.
_AWAY = ("08", "28", "3D", "57P", "53")


def is_contention(error: Exception) -> bool:
    """Tell whether the transaction only met another one, and may be run anew."""
    if isinstance(error, Contended):
        return True
    return isinstance(error, DBAPIError) and _sqlstate(error) in _CONTENTION


def raise_translated(error: Exception) -> NoReturn:
    """Raise the ServiceError that a database's error means, or else the error itself."""
    meaning = _meaning(error)
    if meaning is None:
        raise error
    raise meaning from error


def _meaning(error: Exception) -> ServiceError | None:
    if isinstance(error, PoolTimeout):
        reason, message = "DATABASE_BUSY", "all connections to the database are in use"
        return ResourceExhausted(reason, message)
    if isinstance(error, DBAPIError) and _sqlstate(error) == _OVERLAP:
        return slot_taken()
    if _is_away(error):
        return Unavailable("DATABASE_UNAVAILABLE", "the database does not answer")
    return None


def _is_away(error: Exception) -> bool:
    if isinstance(error, DBAPIError):
        return (
            error.connection_invalidated
            or isinstance(error, InterfaceError)
            or _sqlstate(error).startswith(_AWAY)
        )
    return isinstance(error, OSError)  # TimeoutError is one, too


def _sqlstate(error: DBAPIError) -> str:
    return str(getattr(error.orig, "sqlstate", None) or "")
