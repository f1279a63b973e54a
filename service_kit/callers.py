"""Who may call, as a file says: each with a token or a certificate, and what it may do.

    [callers.web]
    tokens = ["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"]
    certificates = ["web.example.com"]
    may = ["read", "mutate"]
    organizations = [1, 2]

A token is written down as its SHA-256 alone: it is long and random, so that nothing slower
is needed, and whoever reads the file cannot use it. Being looked up by its hash, it is not
compared with those that are known, and no time that this takes tells anything of them.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeGuard, TypeVar

import structlog

from service_kit.renewal import Stamp, stamp

__all__ = ["Caller", "Callers", "CallersError", "Right"]

_HASH = re.compile(r"[0-9a-f]{64}")
_FIELDS = {"tokens", "certificates", "may", "organizations"}
_ALL = "*"
E = TypeVar("E")


class Right(StrEnum):
    """What a method lets its caller do."""

    READ = "read"
    MUTATE = "mutate"
    INVALIDATE = "invalidate"
    OPERATE = "operate"


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody known. `organizations` None: all of them."""

    name: str
    may: frozenset[Right]
    organizations: frozenset[int] | None

    def sees(self, organization_id: int) -> bool:
        """Tell whether it may know of an organization; 0 stands for all of them together."""
        return self.organizations is None or organization_id in self.organizations


class CallersError(Exception):
    """Say what is wrong with the file; one line for each problem."""


class _Known:
    """The callers of one reading of the file."""

    def __init__(self) -> None:
        self.by_token: dict[str, Caller] = {}
        self.by_certificate: dict[str, Caller] = {}

    def names(self) -> list[str]:
        """Return whom it knows, for the log."""
        both = (*self.by_token.values(), *self.by_certificate.values())
        return sorted({caller.name for caller in both})


class Callers:
    """The callers that the file knows, as it was read last. Raises CallersError if it is wrong."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: Stamp = ()
        self._failed = ""
        self._known = self._read()

    @property
    def refused(self) -> bool:
        """Whether what took the place of the file cannot be used."""
        return bool(self._failed)

    @property
    def reading(self) -> object:
        """What is another object once the file was read anew."""
        return self._known

    @property
    def certified(self) -> bool:
        """Whether any is known by a certificate."""
        return bool(self._known.by_certificate)

    def of_token(self, token: str) -> Caller | None:
        """Return who has this token."""
        digest = sha256(token.encode(errors="surrogateescape")).hexdigest()
        return self._known.by_token.get(digest)

    def of_certificate(self, names: Iterable[str]) -> Caller | None:
        """Return who has a certificate of one of these names, the first that is known."""
        known = self._known.by_certificate
        return next((known[name] for name in names if name in known), None)

    def renew(self) -> None:
        """Read the file again if it changed; if it is wrong, what was known stays, and is told."""
        log = structlog.get_logger("service_kit.callers")
        try:
            if stamp(self._path) == self._seen:
                return
            self._known = self._read()
        except (CallersError, OSError) as error:
            if self._failed != str(error):
                self._failed = str(error)
                log.warning("the callers stay as they were", reason=self._failed)
        else:
            self._failed = ""
            log.info("callers renewed", callers=self._known.names())

    def _read(self) -> _Known:
        try:
            self._seen = stamp(self._path)
            content = tomllib.loads(self._path.read_text())
        except OSError as error:
            message = f"{self._path}: {error.strerror}"
            raise CallersError(message) from None
        except ValueError as error:  # not UTF-8, or not TOML
            message = f"{self._path}: {error}"
            raise CallersError(message) from None
        known = _Known()
        if problems := [f"{self._path}: {problem}" for problem in _fill(known, content)]:
            raise CallersError("\n".join(problems))
        return known


def _fill(known: _Known, content: Mapping[str, Any]) -> Iterator[str]:
    """Enter who is in the file; yields what is wrong with it."""
    yield from (f"{name}: is not known" for name in content if name != "callers")
    callers = content.get("callers", {})
    if not isinstance(callers, dict):
        yield "callers: must be tables, [callers.NAME]"
        return
    for name, fields in callers.items():
        where = f"callers.{name}"
        if not isinstance(fields, dict):
            yield f"{where}: must be a table"
            continue
        problems = list(_problems(fields))
        yield from (f"{where}.{problem}" for problem in problems)
        if problems:
            continue
        whose = fields["organizations"]
        caller = Caller(
            name,
            frozenset(map(Right, fields["may"])),
            None if whose == _ALL else frozenset(whose),
        )
        for field, index in (
            ("tokens", known.by_token),
            ("certificates", known.by_certificate),
        ):
            for key in fields.get(field, []):
                if key in index:
                    yield f"{where}.{field}: is also of {index[key].name}"
                index[key] = caller


def _problems(fields: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"{name}: is not known" for name in fields if name not in _FIELDS)
    tokens, certificates = fields.get("tokens", []), fields.get("certificates", [])
    if not (_is_list(tokens, str) and all(map(_HASH.fullmatch, tokens))):
        # Not shown: perhaps somebody wrote a token there.
        yield "tokens: must be a list of SHA-256 hashes, each of 64 hexadecimal digits"
    if not _is_list(certificates, str):
        yield "certificates: must be a list of names"
    if not tokens and not certificates:
        yield "tokens: or certificates are required"
    rights = [right.value for right in Right]
    may = fields.get("may")
    if not (_is_list(may, str) and set(may) <= set(rights)):
        yield f"may: must be a list of {', '.join(rights)}"
    whose = fields.get("organizations")
    if whose != _ALL and not (_is_list(whose, int) and all(one > 0 for one in whose)):
        yield 'organizations: must be a list of ids, or "*" for all'


def _is_list(value: object, kind: type[E]) -> TypeGuard[list[E]]:
    return isinstance(value, list) and all(type(one) is kind for one in value)
