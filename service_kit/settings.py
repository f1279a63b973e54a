"""Read a process's settings from the environment, once, and name everything wrong at once.

A process has one frozen object. Its names carry a prefix of its own
(CHAIRSIDE_CACHE_LISTEN), but for those in `SHARED` (CHAIRSIDE_LOG_LEVEL). A
misspelt name is an error, not a default that nobody asked for; names of the
other processes are left alone, so that all may share one environment. A secret may
stand in a file instead, which its name with _FILE behind it names.
"""

import difflib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
)

from service_kit.callers import Callers, CallersError
from service_kit.tls import TlsError, TlsFiles

__all__ = [
    "MOST_WORKERS",
    "DatabaseUrl",
    "HostPort",
    "Listen",
    "ProcessSettings",
    "RedisUrl",
    "Secret",
    "SettingsError",
    "WorkerSettings",
    "check",
    "describe",
    "load",
    "readable",
    "secret_file",
    "socket_path",
    "split_address",
]

PREFIX = "CHAIRSIDE_"
OTHERS = ("CHAIRSIDE_BOOKING_", "CHAIRSIDE_CACHE_", "CHAIRSIDE_DEVSTACK_")
SHARED = frozenset({"clock_start", "log_level"})

_HOST = r"(\[[^\]@/]+\]|[^\[\]:,@/?]+)(:\d+)?"
_PASSWORD = re.compile(r"(://[^:/@]*):.*@")
_PARAMETER = re.compile(r"([?&]\w*password=)[^&]*")
_MAX_PORT = 65535
_UNIX = "unix:"
_FILE = "_FILE"
_LONGEST_PATH = 107  # of a socket, in bytes, as the kernel has it
MOST_WORKERS = 256


class SettingsError(Exception):
    """Say which variables are wrong; one line for each, without secrets."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def split_address(value: str) -> tuple[str, int]:
    """Split `host:port` or `[v6]:port`; ValueError if it is neither."""
    host, colon, port = value.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (colon and host and port.isascii() and port.isdigit() and int(port) <= _MAX_PORT):
        message = "must be host:port, port 0 to 65535"
        raise ValueError(message)
    return host, int(port)


def socket_path(value: str) -> str | None:
    """Return the path of `unix:/path`; None for another address."""
    return value.removeprefix(_UNIX) if value.startswith(_UNIX) else None


def _listen(value: str) -> str:
    path = socket_path(value)
    if path is None:
        split_address(value)
    elif not path.startswith("/") or len(path.encode()) > _LONGEST_PATH:
        message = f"must be unix:/path, absolute, of at most {_LONGEST_PATH} bytes"
        raise ValueError(message)
    return value


def _host_port(value: str) -> str:
    split_address(value)
    return value


def _database_url(value: str) -> str:
    if not re.match(r"postgres(ql)?://[^/]+/[^/?]+", value):
        message = "must be postgresql://user:password@host:port/database"
        raise ValueError(message)
    return value


def _redis_url(value: str) -> str:
    several = rf"([^@/]*@)?{_HOST}(,{_HOST})*"
    forms = "://[^/]+", rf"\+sentinel://{several}/[^/?]+", rf"\+cluster://{several}/?0?(\?|$)"
    if not re.match(f"(rediss?|valkeys?)({'|'.join(forms)})", value):
        message = (
            "must be redis://host:port/number, redis+sentinel://host:port,host:port/name,"
            " or redis+cluster://host:port,host:port"
        )
        raise ValueError(message)
    return re.sub(r"^valkey", "redis", value)


HostPort = Annotated[str, AfterValidator(_host_port)]
Listen = Annotated[str, AfterValidator(_listen)]
DatabaseUrl = Annotated[str, AfterValidator(_database_url), Field(repr=False)]
RedisUrl = Annotated[str, AfterValidator(_redis_url), Field(repr=False)]
Secret = Annotated[SecretStr | None, Field(repr=False)]


class ProcessSettings(BaseModel):
    """What every process is told; a process adds its own fields and defaults.

    Subclasses set `prefix` and `listen`, `metrics_listen`. Spans are in seconds.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=True
    )
    prefix: ClassVar[str]

    # Or unix:/path, a socket that whoever may write to it can connect to.
    listen: Listen
    # Never TLS: for whoever scrapes, and nobody else should reach it.
    metrics_listen: HostPort
    # PEM files, read anew when they are renewed. With an authority of callers each must have
    # a certificate of it.
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    # Who may call, and do what: service_kit.callers; None: anybody may do anything.
    callers: Path | None = None
    # Whether anybody may ask for the protos.
    reflection: bool = True
    # The instant at which the process believes to start; None: the real time.
    clock_start: AwareDatetime | None = None
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    access_log: bool = True
    # For callers who set no deadline, and for those who set a longer one.
    default_deadline: Annotated[float, Field(gt=0, le=3600)] = 10.0
    max_deadline: Annotated[float, Field(gt=0, le=3600)] = 30.0
    # Calls handled at once; those above get RESOURCE_EXHAUSTED.
    max_open_calls: Annotated[int, Field(gt=0, le=100_000)] = 1000
    # Of those, calls that are only told of what happens have a limit of their own.
    max_watches: Annotated[int, Field(gt=0, le=100_000)] = 1000
    # Connections at once, and calls at once on each of them, which others wait for: see limits.py.
    max_connections: Annotated[int, Field(gt=0, le=100_000)] = 1000
    max_streams: Annotated[int, Field(gt=0, le=10_000)] = 50
    # Of a request; as many events and tags as there may be fit together, and as many reads.
    max_message_bytes: Annotated[int, Field(ge=64 * 1024, le=2**30)] = 384 * 1024
    # After that a client is told to connect anew, and its last calls may end.
    max_connection_age: Annotated[float, Field(ge=1, le=86_400)] = 3600.0
    max_connection_idle: Annotated[float, Field(ge=1, le=86_400)] = 300.0
    # How long calls may go on after SIGTERM.
    drain: Annotated[float, Field(ge=0, le=3600)] = 10.0

    @property
    def tls_files(self) -> TlsFiles | None:
        """What is listened with; None: without TLS."""
        if self.tls_certificate is None:
            return None
        return TlsFiles(self.tls_certificate, self.tls_key, self.tls_client_ca)

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield what is wrong with the fields together: one of them, and why."""
        if self.tls_certificate is None:
            for field in ("tls_key", "tls_client_ca"):
                if getattr(self, field) is not None:
                    yield field, "needs a certificate to listen with as well"
        elif self.tls_key is None:
            yield "tls_key", "is required beside the certificate"
        else:
            yield from readable("tls_certificate", self.tls_files)
        if self.callers is not None:
            try:
                Callers(self.callers)
            except CallersError as error:
                yield "callers", str(error)


class WorkerSettings(ProcessSettings):
    """What a process is told that may serve with several workers."""

    # Processes that serve on the one port; 0: one for each core that may be used; 1: no others.
    workers: Annotated[int, Field(ge=0, le=MOST_WORKERS)] = 0

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield what is wrong with the fields together."""
        yield from super().problems()
        if self.workers > 1 and socket_path(self.listen) is not None:
            yield "workers", "must be 1: processes cannot share a Unix socket as they share a port"


T = TypeVar("T", bound=ProcessSettings)


def load(cls: type[T], environ: Mapping[str, str]) -> T:
    """Build `cls` from the environment; SettingsError names every wrong or unknown variable.

    A variable set to the empty string counts as unset.
    """
    names = {_variable(cls, field): field for field in cls.model_fields}
    # What is not shown is secret, and may stand in a file.
    files = [f"{name}{_FILE}" for name, field in names.items() if not cls.model_fields[field].repr]
    problems = [
        _unknown(name, names)
        for name in sorted(environ)
        if name.startswith(PREFIX) and name not in (*names, *files) and not _is_foreign(cls, name)
    ]
    given = {field: environ[name] for name, field in names.items() if environ.get(name)}
    for name in filter(environ.get, files):
        field = names[name.removesuffix(_FILE)]
        if field in given:
            problems.append(f"{name}: is set as well as {name.removesuffix(_FILE)}")
            continue
        try:
            given[field] = secret_file(environ[name])
        except (OSError, UnicodeDecodeError) as error:
            problems.append(f"{name}: {environ[name]}: {getattr(error, 'strerror', 'not text')}")
            names.pop(name.removesuffix(_FILE))
    try:
        settings = cls.model_validate(given)
    except ValidationError as error:
        for wrong in error.errors(include_url=False, include_input=False, include_context=False):
            name = _variable(cls, str(wrong["loc"][0])) if wrong["loc"] else cls.prefix
            if name not in names:
                continue  # of which its file told already
            text = "is required" if wrong["type"] == "missing" else wrong["msg"]
            problems.append(f"{name}: {text.removeprefix('Value error, ')}")
        raise SettingsError(problems) from None
    if problems:
        raise SettingsError(problems)
    check(settings)
    return settings


def check(settings: ProcessSettings) -> None:
    """Raise SettingsError if the settings do not go together."""
    problems = [
        f"{_variable(type(settings), field)}: {text}" for field, text in settings.problems()
    ]
    if problems:
        raise SettingsError(problems)


def readable(field: str, files: TlsFiles | None) -> Iterator[tuple[str, str]]:
    """Yield why the files of a field cannot be used, if they cannot."""
    try:
        if files is not None:
            files.read()
    except TlsError as error:
        yield field, str(error)


def secret_file(path: str) -> str:
    """Return the secret in a file, without the line's end. Raises OSError."""
    return Path(path).read_text(encoding="utf-8").strip()


def describe(settings: ProcessSettings) -> dict[str, str]:
    """Return the settings by variable name, passwords hidden, for the log."""
    return {_variable(type(settings), field): _hidden(str(value)) for field, value in settings}


def _hidden(value: str) -> str:
    return _PARAMETER.sub(r"\1***", _PASSWORD.sub(r"\1:***@", value))


def _variable(cls: type[ProcessSettings], field: str) -> str:
    return (PREFIX if field in SHARED else cls.prefix) + field.upper()


def _is_foreign(cls: type[ProcessSettings], name: str) -> bool:
    return name.startswith(tuple(other for other in OTHERS if other != cls.prefix))


def _unknown(name: str, names: Mapping[str, str]) -> str:
    close = difflib.get_close_matches(name, names, n=1)
    return f"{name}: is not a setting" + (f"; did you mean {close[0]}?" if close else "")
