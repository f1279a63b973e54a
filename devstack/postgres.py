"""A Postgres of our own on a port of the loopback."""

import asyncio
import os
import secrets
import shutil
import signal
import tempfile
from contextlib import suppress
from pathlib import Path

import asyncpg

from devstack import binaries
from devstack.children import Child, ChildError
from devstack.ports import free_port

__all__ = ["PostgresServer"]

_START_SECONDS = 60.0


class PostgresServer(Child):
    """Run Postgres on the data directory `data`, which is made if it is not there.

    `durable=False` leaves fsync off: for tests, whose data may die with the machine.
    `port` 0 takes a free one, which stays the same over `restart`. As root it runs
    as an unprivileged user, for Postgres refuses root.
    """

    def __init__(
        self, data: Path, *, port: int = 0, durable: bool = True, max_connections: int = 200
    ) -> None:
        self.port = port or free_port()
        self.data = data
        self._durable = durable
        self._connections = max_connections
        self._as = binaries.unprivileged_user()
        self._copy: Path | None = None
        super().__init__(
            "Postgres",
            [],
            log_path=data.with_name(f"{data.name}.log"),
            user=self._as,
            # A fast shutdown: connections are closed, data is written.
            stop_signal=signal.SIGINT,
        )

    @property
    def password(self) -> str:
        """The password of the superuser `postgres`, made with the data directory."""
        return self._password_path.read_text().strip()

    @property
    def _password_path(self) -> Path:
        return self.data.with_name(f"{self.data.name}.password")

    def url(self, database: str = "postgres") -> str:
        """The superuser's URL of a database."""
        return f"postgresql://postgres:{self.password}@127.0.0.1:{self.port}/{database}"

    async def start(self) -> None:
        """Make the data directory if there is none, start, and wait until it answers."""
        self.data.parent.mkdir(parents=True, exist_ok=True)
        programs = self._programs()
        if not (self.data / "PG_VERSION").exists():
            await self._initialise(programs)
        self.argv = [
            str(programs / "postgres"),
            *("-D", str(self.data), "-p", str(self.port), "-h", "127.0.0.1", "-k", ""),
            *self._options(),
        ]
        await super().start()
        await self.until(self._answers, _START_SECONDS)

    async def restart(self) -> None:
        """Start it again, after a `stop` or `kill`, on the same port."""
        await self.stop()
        await self.start()

    async def stop(self) -> None:
        """Shut it down, connections closed."""
        await super().stop()
        if self._copy is not None:
            shutil.rmtree(self._copy, ignore_errors=True)
            self._copy = None

    def _options(self) -> list[str]:
        settings = {
            "max_connections": str(self._connections),
            "shared_buffers": "128MB",
            "log_timezone": "UTC",
            "timezone": "UTC",
        }
        if not self._durable:
            # Commits still wait for their write, so that a killed server loses none.
            settings |= {"fsync": "off", "full_page_writes": "off"}
        return [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]

    def _programs(self) -> Path:
        directory = binaries.postgres_directory()
        if self._as is None or binaries.reachable(directory):
            return directory
        if self._copy is None:
            # Below a home directory of root's, where the other user cannot look.
            self._copy = Path(tempfile.mkdtemp(prefix="chairside-postgres-"))
            self._copy.chmod(0o755)
            shutil.copytree(directory.parent, self._copy / "install", symlinks=True)
        return self._copy / "install" / directory.name

    async def _initialise(self, programs: Path) -> None:
        if self._as is not None and not binaries.reachable(self.data.parent):
            message = (
                f"Postgres cannot reach {self.data} as user {self._as}:"
                " choose another --data-dir, outside of private directories"
            )
            raise ChildError(message)
        shutil.rmtree(self.data, ignore_errors=True)  # of an initdb that was interrupted
        self.data.mkdir(mode=0o700)
        secret = self._password_path
        secret.touch(mode=0o600)
        secret.write_text(secrets.token_urlsafe(24))
        if self._as is not None:
            os.chown(self.data, self._as, -1)
            os.chown(secret, self._as, -1)
        initdb = Child(
            "initdb",
            [
                programs / "initdb",
                *("-D", str(self.data), "-U", "postgres", "-E", "UTF8", "--locale=C"),
                *("--auth=scram-sha-256", f"--pwfile={secret}"),
                *(() if self._durable else ("--no-sync",)),
            ],
            log_path=self.log_path,
            user=self._as,
        )
        async with initdb:
            code = await initdb.wait()
        if code != 0:
            shutil.rmtree(self.data, ignore_errors=True)
            what = f"ended with code {code}"
            raise initdb.failure(what)

    async def _answers(self) -> bool:
        with suppress(OSError, asyncpg.PostgresError, asyncio.TimeoutError):
            connection = await asyncpg.connect(self.url(), timeout=5)
            await connection.close()
            return True
        return False
