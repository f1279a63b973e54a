"""Streams of callers who may know of some shops: what they are told, and until when."""

import asyncio
from hashlib import sha256

from chairside.cache.v1 import cache_service_pb2 as pb
from service_kit.callers import Right
from tests.e2e.open_streams import OpenStreams
from tests.e2e.secured import TOKENS, Secured
from tests.support.contract import CACHE
from tests.support.steady import undisturbed
from tests.support.waiting import eventually


async def test_a_watch_of_all_tells_only_of_one_s_own(secured: Secured) -> None:
    """The operator's hears of both shops, in order, and this caller's of its own alone."""
    mine, theirs = (int(known["organization"]) for known in (secured.mine, secured.theirs))

    async def heard() -> dict[str, set[int]]:
        opened = {}
        for caller in ("all", "one"):
            call = secured.channel(CACHE).unary_stream(f"/{CACHE.full_name}/Watch")(
                b"", metadata=[("authorization", f"Bearer {TOKENS[caller]}")], timeout=20
            )
            assert pb.WatchResponse.FromString(await call.read()).HasField("elapsed")
            opened[caller] = call
        for organization_id in (theirs, mine):
            request = pb.InvalidateRequest(scope={"organization_id": organization_id})
            await secured.ask(CACHE.methods_by_name["Invalidate"], request, "all")
        told: dict[str, set[int]] = {caller: set() for caller in opened}
        for caller, call in opened.items():
            while mine not in told[caller]:
                message = pb.WatchResponse.FromString(await call.read())
                if message.tags:
                    told[caller].add(message.organization_id)
            call.cancel()
        return told

    assert await undisturbed(heard) == {"all": {mine, theirs}, "one": {mine}}


async def test_open_streams_have_no_more_rights_than_the_file_gives(secured: Secured) -> None:
    """Who is struck off, or loses right or shop, is told no more; who keeps them goes on."""
    text = secured.callers.read_text()
    expected = {
        "one": ["PERMISSION_DENIED ORGANIZATION_NOT_ALLOWED", "UNAVAILABLE RIGHTS_CHANGED"],
        "gone": ["UNAUTHENTICATED UNKNOWN_CALLER"] * 2,
        Right.READ: ["PERMISSION_DENIED METHOD_NOT_ALLOWED"] * 2,
    }
    hashes = [sha256(token.encode()).hexdigest() for token in (TOKENS["gone"], "another's")]
    changed = text.replace(*hashes).replace("may = ['read']\n", "may = []\n")
    changed = changed.replace("organizations = [1]", "organizations = [9]")

    async def judged() -> None:
        streams = {who: OpenStreams(secured, who) for who in ("one", "gone", Right.READ, "all")}
        assert [await one.looked_up() for one in streams.values()] == ["OK"] * 4
        goes_on = streams.pop("all")
        try:
            secured.write_callers(changed)
            for who, why in expected.items():
                async with asyncio.timeout(20):
                    assert await streams[who].ended() == why
                assert await streams[who].looked_up() == why[0].partition(" ")[0]
            assert await goes_on.looked_up() == "OK"
            assert not any(watch.done() for watch in goes_on.watches)
        finally:
            secured.write_callers(text)
            for one in streams.values():

                async def again(one: OpenStreams = one) -> bool:
                    return await one.looked_up() == "OK"

                await eventually(again)
            for one in (*streams.values(), goes_on):
                one.cancel()

    await undisturbed(judged)
