"""What `python -m devstack` was asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

__all__ = ["BOOKS_CLOCK_START", "Options", "environment_urls"]

# The books end in summer 2018: from this noon on, their future is ahead.
BOOKS_CLOCK_START = "2018-07-30T12:00:00-04:00"


@dataclass(frozen=True, slots=True)
class Options:
    """One run. Without `salon` a fresh database gets a generated shop of this size.

    Addresses are host:port. URLs, where given, are used instead of servers of our own.
    """

    data: Path
    salon: Path | None
    barbers: int
    months: int
    seed: int
    real_clock: bool
    cache: str = "127.0.0.1:50051"
    booking: str = "127.0.0.1:50052"
    cache_metrics: str = "127.0.0.1:9101"
    booking_metrics: str = "127.0.0.1:9102"
    postgres_url: str = ""
    redis_url: str = ""

    @property
    def shop(self) -> str:
        """What the shop is, in words."""
        if self.salon is not None:
            return f"the books of {self.salon}"
        size = f"{self.barbers} barbers, {self.months} months, seed {self.seed}"
        return f"a generated shop ({size})"

    @property
    def shop_data(self) -> Path:
        """The folder of this shop's database: each shop that is asked for has its own."""
        if self.salon is not None:
            place = crc32(str(self.salon.resolve()).encode())
            return self.data / f"books-{self.salon.resolve().name}-{place:08x}"
        return self.data / f"generated-{self.barbers}-{self.months}-{self.seed}"


def environment_urls(environ: Mapping[str, str]) -> tuple[str, str]:
    """Return the URLs of a Postgres (as a user who may create databases) and a Redis, or ""."""
    return (
        environ.get("CHAIRSIDE_DEVSTACK_POSTGRES_URL", ""),
        environ.get("CHAIRSIDE_DEVSTACK_REDIS_URL", ""),
    )
