"""The settings of the booking service: `CHAIRSIDE_BOOKING_*`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from service_kit.settings import DatabaseUrl, HostPort, Listen, ProcessSettings, Secret, readable
from service_kit.tls import TlsFiles

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
    # PEM files: TLS with the authority of the cache service's certificate, and what to show it.
    cache_ca: Path | None = None
    cache_certificate: Path | None = None
    cache_key: Path | None = None
    # Who this is, where the cache service tells its callers apart.
    cache_token: Secret = None
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
    role_password: Secret = None
    cache_role_password: Secret = None

    @property
    def cache_tls(self) -> TlsFiles | None:
        """What the cache service is connected to with; None: without TLS."""
        if self.cache_ca is None:
            return None
        return TlsFiles(self.cache_certificate, self.cache_key, self.cache_ca)

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield what is wrong with the fields together."""
        yield from super().problems()
        if (self.cache_certificate is None) != (self.cache_key is None):
            yield "cache_key", "goes together with the certificate"
        elif self.cache_ca is None and self.cache_certificate is not None:
            yield "cache_ca", "is required beside the certificate"
        else:
            yield from readable("cache_ca", self.cache_tls)
