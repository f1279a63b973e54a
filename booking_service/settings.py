"""The settings of the booking service: `CHAIRSIDE_BOOKING_*`."""

from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, SecretStr

from service_kit.settings import DatabaseUrl, HostPort, Listen, ProcessSettings

__all__ = ["Settings"]


def _target(value: str) -> str:
    if not value.strip():
        message = "must be host:port of the cache service"
        raise ValueError(message)
    return value


class Settings(ProcessSettings):
    """What the process is told; spans are in seconds."""

    prefix: ClassVar[str] = "CHAIRSIDE_BOOKING_"

    listen: Listen = "127.0.0.1:50052"
    metrics_listen: HostPort = "127.0.0.1:9102"
    database_url: DatabaseUrl
    # A gRPC target, e.g. host:port or dns:///name:port.
    cache_target: Annotated[str, AfterValidator(_target)] = "127.0.0.1:50051"
    # Answers of the cache service kept here, for readers who allow staleness; 0: none.
    near_bytes: Annotated[int, Field(ge=0)] = 16 * 1024 * 1024
    # A mutation waits so long for the cache, but not past its caller's deadline, and then
    # answers with cache_applied = false. Longer than the cache needs without Redis or with a
    # member that is silent: its patience and the run of a lease, 1.6 s.
    cache_timeout: Annotated[float, Field(gt=0, le=30)] = 3.0
    # Transactions at once; those above wait at most `pool_timeout` for a connection. Long,
    # because the call's own deadline ends the wait of those who cannot.
    pool_size: Annotated[int, Field(ge=1, le=200)] = 10
    pool_timeout: Annotated[float, Field(gt=0, le=60)] = 10.0
    statement_timeout: Annotated[float, Field(gt=0, le=600)] = 10.0
    # How often requests that can no longer be repeated are forgotten.
    purge_interval: Annotated[float, Field(ge=1, le=86_400)] = 600.0
    # Passwords that `migrate` gives the two services' roles; unset: as they are.
    role_password: SecretStr | None = None
    cache_role_password: SecretStr | None = None
