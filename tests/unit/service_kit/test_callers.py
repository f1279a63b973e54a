"""Who may call: the file that says so, and calls that are judged by it."""

import asyncio
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from structlog.testing import capture_logs

from cache_service.edge.rights import ITEMISED, RIGHTS
from chairside.cache.v1 import cache_service_pb2 as pb
from service_kit.access import Access
from service_kit.callers import Caller, Callers, CallersError
from tests.support.grpc_server import SERVICE, Served, details_of, serve_here

ONE, ALL = "token-of-shop-one", "token-of-the-operator"


def told(**callers: dict[str, Any]) -> str:
    """Write the file's text."""
    return "\n".join(
        f"[callers.{name}]\n" + "\n".join(f"{key} = {value!r}" for key, value in fields.items())
        for name, fields in callers.items()
    )


def hashed(token: str) -> str:
    """Return what the file has of a token."""
    return sha256(token.encode()).hexdigest()


TEXT = told(
    one={"tokens": [hashed(ONE)], "may": ["read"], "organizations": [1]},
    operator={
        "tokens": [hashed(ALL), hashed("its next one")],
        "may": ["read", "invalidate", "operate"],
        "organizations": "*",
    },
)


class Servicer:
    """Answer who asks, near for shop 1 and 2, fast for shop 3, slowly for the others."""

    def near_GetSchedule(
        self, raw: bytes, caller: Caller | None
    ) -> tuple[bytes, dict[str, object]] | None:
        """Answer out of memory what the caller may see."""
        shop = pb.GetScheduleRequest.FromString(raw).organization_id
        may = caller is None or caller.sees(shop)
        return (b"near", {"outcome": "near"}) if shop in {1, 2} and may else None

    async def fast_GetSchedule(
        self, raw: bytes, caller: Caller | None
    ) -> tuple[bytes, dict[str, object]] | None:
        """Answer fast what the caller may see."""
        shop = pb.GetScheduleRequest.FromString(raw).organization_id
        may = caller is None or caller.sees(shop)
        return (b"fast", {"outcome": "hit"}) if shop == 3 and may else None

    async def GetSchedule(self, _request: Any, _context: object) -> bytes:
        """Answer."""
        return b"slow"

    async def Invalidate(self, _request: Any, _context: object) -> bytes:
        """Answer."""
        return b"done"

    async def GetStats(self, _request: Any, _context: object) -> bytes:
        """Answer."""
        return b"stats"

    async def Watch(self, _request: Any, _context: object) -> AsyncIterator[bytes]:
        """Tell one thing."""
        yield b"told"


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[tuple[Served, Callers, Path]]:
    """Serve it to those whom a file knows."""
    path = tmp_path / "callers.toml"
    path.write_text(TEXT)
    callers = Callers(path)
    async with serve_here(Servicer(), access=Access(callers, RIGHTS, ITEMISED)) as served:
        yield served, callers, path


async def ask(served: Served, method: str, request: Message, token: str | None = None) -> bytes:
    """Ask with a token."""
    metadata = None if token is None else [("authorization", f"Bearer {token}")]
    call = served.channel.unary_unary(f"/{SERVICE.full_name}/{method}")
    answer: bytes = await call(request.SerializeToString(), metadata=metadata)
    return answer


async def refusal(served: Served, method: str, request: Message, token: str | None) -> str:
    """Ask what must be refused, and return its code and reason."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ask(served, method, request, token)
    info: Any = details_of(caught.value)["ErrorInfo"]
    return f"{caught.value.code().name} {info.reason}"


def schedule(organization_id: int) -> pb.GetScheduleRequest:
    """Ask for a shop's schedule."""
    return pb.GetScheduleRequest(organization_id=organization_id)


async def test_who_is_not_known_is_told_nothing(guarded: tuple[Served, Callers, Path]) -> None:
    """Without a token, with a wrong one or in another scheme, whatever is asked."""
    served, _, _ = guarded
    for token in (None, "", "wrong", hashed(ONE), f"{ONE}x", ONE[:-1]):
        for shop in (1, 9):
            refused = await refusal(served, "GetSchedule", schedule(shop), token)
            assert refused == "UNAUTHENTICATED UNKNOWN_CALLER"
    call = served.channel.unary_unary(f"/{SERVICE.full_name}/GetSchedule")
    with pytest.raises(grpc.aio.AioRpcError):
        await call(b"\x08\x01", metadata=[("authorization", f"Basic {ONE}")])
    assert await call(b"\x08\x01", metadata=[("authorization", f"bearer {ONE}")]) == b"near"


async def test_a_caller_may_what_it_is_allowed_and_about_whom(
    guarded: tuple[Served, Callers, Path],
) -> None:
    """Near, fast and slow answers alike; nothing of another shop, and nothing about all."""
    served, _, _ = guarded
    assert await ask(served, "GetSchedule", schedule(1), ONE) == b"near"
    for shop in (0, 2, 3, 4):
        refused = await refusal(served, "GetSchedule", schedule(shop), ONE)
        assert refused == "PERMISSION_DENIED ORGANIZATION_NOT_ALLOWED"
    for shop, answer in ((1, b"near"), (2, b"near"), (3, b"fast"), (4, b"slow")):
        assert await ask(served, "GetSchedule", schedule(shop), ALL) == answer
    everything = pb.InvalidateRequest(scope={"organization_id": 1})  # type: ignore[arg-type]
    refused = await refusal(served, "Invalidate", everything, ONE)
    assert refused == "PERMISSION_DENIED METHOD_NOT_ALLOWED"
    assert await ask(served, "Invalidate", everything, "its next one") == b"done"
    assert await ask(served, "GetStats", pb.GetStatsRequest(), ALL) == b"stats"
    # The last of two fields is the one that counts, as in every protobuf.
    call = served.channel.unary_unary(f"/{SERVICE.full_name}/GetSchedule")
    with pytest.raises(grpc.aio.AioRpcError, match="not know of that"):
        await call(b"\x08\x01\x08\x04", metadata=[("authorization", f"Bearer {ONE}")])


async def test_the_log_names_the_caller(tmp_path: Path) -> None:
    """Each line of a call says who made it, if that is known."""
    path = tmp_path / "callers.toml"
    path.write_text(TEXT)
    async with serve_here(Servicer(), access=Access(Callers(path), RIGHTS, ITEMISED)) as served:
        await ask(served, "GetSchedule", schedule(1), ONE)
        await ask(served, "GetSchedule", schedule(3), ALL)
        await refusal(served, "GetSchedule", schedule(2), ONE)
        await refusal(served, "Invalidate", pb.InvalidateRequest(), ONE)
        await refusal(served, "Invalidate", pb.InvalidateRequest(), "wrong")
    lines = served.log.getvalue().decode().splitlines()
    assert [("one" in line, "operator" in line) for line in lines] == [
        (True, False),
        (False, True),
        (True, False),
        (True, False),
        (False, False),
    ]


async def test_the_file_is_read_anew_and_a_bad_one_changes_nothing(
    guarded: tuple[Served, Callers, Path],
) -> None:
    """Who is struck off is refused from then on; a bad or missing file is one warning."""
    served, callers, path = guarded
    with capture_logs() as logs:
        for bad in ("[callers.one", None):
            if bad is None:
                path.unlink()
            else:
                path.write_text(bad)
            for _ in range(2):
                callers.renew()
            assert callers.refused
            assert await ask(served, "GetSchedule", schedule(1), ONE) == b"near"
        path.write_text(told(two={"tokens": [hashed("new")], "may": [], "organizations": [1]}))
        callers.renew()
        assert not callers.refused
    assert [line["log_level"] for line in logs] == ["warning", "warning", "info"]
    refused = await refusal(served, "GetSchedule", schedule(1), ONE)
    assert refused == "UNAUTHENTICATED UNKNOWN_CALLER"
    refused = await refusal(served, "GetSchedule", schedule(1), "new")
    assert refused == "PERMISSION_DENIED METHOD_NOT_ALLOWED"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("x = 1", "x: is not known"),
        ("callers = 1", "callers: must be tables"),
        ("callers.a = 1", "callers.a: must be a table"),
        ('[callers.a]\nmay = []\norganizations = "*"', "callers.a.tokens: or certificates"),
        (
            f"[callers.a]\ntokens = ['{ONE}']\nmay = []\norganizations = [1]",
            "callers.a.tokens: must be a list of SHA-256",
        ),
        (
            f"[callers.a]\ntokens = ['{hashed(ONE)}']\nmay = ['fly']\norganizations = [1]",
            "callers.a.may: must be a list of read, mutate, invalidate, operate",
        ),
        (
            f"[callers.a]\ntokens = ['{hashed(ONE)}']\nmay = []\norganizations = [0]",
            "callers.a.organizations: must be a list of ids",
        ),
        (
            f"[callers.a]\ntokens = ['{hashed(ONE)}']\nmay = []\nall = true",
            "callers.a.all: is not known",
        ),
        (f"{TEXT}\n{TEXT.replace('callers.', 'callers.x')}", "is also of"),
    ],
)
def test_what_is_wrong_with_the_file_is_said(tmp_path: Path, text: str, problem: str) -> None:
    """Each problem, and never what may be a token."""
    path = tmp_path / "callers.toml"
    path.write_text(text)
    with pytest.raises(CallersError) as caught:
        Callers(path)
    assert problem in str(caught.value)
    assert ONE not in str(caught.value)


async def test_without_a_file_anybody_may() -> None:
    """As the control of all others: the same calls, answered."""
    async with serve_here(Servicer()) as served:
        answers = await asyncio.gather(
            *(ask(served, "GetSchedule", schedule(shop)) for shop in (1, 2, 3, 4))
        )
    assert answers == [b"near", b"near", b"fast", b"slow"]
