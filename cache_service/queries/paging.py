"""Pages of lists: a token says after which row the next page begins, and of which filters."""

from __future__ import annotations

import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any

from service_kit.validation import Violations

__all__ = [
    "DEFAULT_PAGE_SIZE",
    "MAX_PAGE_SIZE",
    "Key",
    "Row",
    "cut",
    "next_token",
    "page_size",
    "position",
]

Row = Any
"""A row of SQLAlchemy's."""
Key = tuple[int, ...]
"""What rows are sorted by, the last of it unique."""

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 500
_VERSION = 1
_DIGEST_BYTES = 8


def page_size(found: Violations, value: int) -> int:
    """Read a request's page_size: 1 to 500, 50 for 0."""
    if not 0 <= value <= MAX_PAGE_SIZE:
        found.add("page_size", f"must be from 1 to {MAX_PAGE_SIZE}, or 0 for {DEFAULT_PAGE_SIZE}")
    return value or DEFAULT_PAGE_SIZE


def cut(
    rows: Sequence[Row], size: int, filters: tuple[object, ...], key: Callable[[Row], Key]
) -> tuple[list[Row], str]:
    """Sort a page's rows, of which one more than `size` was read, and return its next token.

    The token is empty if this is the last page.
    """
    shown = sorted(rows, key=key)[:size]
    return shown, next_token(filters, key(shown[-1])) if len(rows) > size else ""


def next_token(filters: tuple[object, ...], after: Key) -> str:
    """Return the token of the page that begins after the row with the key `after`.

    `filters` are plain values, the organization with them. The page's size is none of them:
    it may change from page to page.
    """
    # The digest is of filters and position, so that a damaged token is known for one.
    # Numbers, texts, days and tuples of them: their repr is one text for one value.
    digest = blake2b(repr((filters, after)).encode(), digest_size=_DIGEST_BYTES).digest()
    body = struct.pack(f">B{_DIGEST_BYTES}s{len(after)}q", _VERSION, digest, *after)
    return urlsafe_b64encode(body).decode().rstrip("=")


def position(
    found: Violations, token: str, filters: tuple[object, ...], *, parts: int
) -> Key | None:
    """Read a request's page_token: the key of `parts` numbers to begin after, None if empty.

    A token that is none of ours, or was given for other filters, is a violation.
    """
    if not token:
        return None
    try:
        body = urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
        _, _, *after = struct.unpack(f">B{_DIGEST_BYTES}s{parts}q", body)
    except (NotBase64, UnicodeEncodeError, struct.error):
        found.add("page_token", "is not one of this method's")
        return None
    if token != next_token(filters, tuple(after)):
        found.add("page_token", "was given for other filters, or is damaged")
        return None
    return tuple(after)
