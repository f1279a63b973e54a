"""Callers of one shop with every id of another, over every method; and what must stay secret."""

import asyncio
import re
import shlex
import sys
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass

from booking_service.edge.rights import RIGHTS as BOOKING_RIGHTS
from cache_service.edge.rights import RIGHTS as CACHE_RIGHTS
from chairside.cache.v1 import cache_service_pb2 as pb
from service_kit.callers import Right
from tests.e2e.asked import READS, UNKNOWN, has, ids_of, of_shop, put, rpc_of, samples, strangers
from tests.e2e.programs import run, scrape
from tests.e2e.secured import (
    MARK,
    SECRETS,
    TOKENS,
    Outcome,
    Secured,
)
from tests.support.certificates import issue
from tests.support.contract import BOOKING, CACHE, METHODS
from tests.support.stack import ROLE_PASSWORD
from tests.support.waiting import eventually

PAGE = Path("docs/security.md").read_text()
RIGHTS = {**BOOKING_RIGHTS, **CACHE_RIGHTS}
UNOWNED = {"CreateOrganization"}
"""Mutations that are of no shop."""


def without(outcome: Outcome, *ids: object) -> Outcome:
    """Return an outcome but for the ids that were asked for."""
    code, text, told = outcome
    shown = re.compile(rf"\b({'|'.join(map(str, ids))})\b")
    return (
        code,
        shown.sub("ID", text),
        {key: shown.sub("ID", value) for key, value in told.items()},
    )


def test_every_method_has_its_right() -> None:
    """A method that is new fails here until it is said which right it takes."""
    assert set(BOOKING_RIGHTS) == set(BOOKING.methods_by_name)
    assert set(CACHE_RIGHTS) == set(CACHE.methods_by_name)


@pytest.mark.parametrize("method", METHODS, ids=lambda one: one.name)
async def test_a_stranger_s_shop_is_refused_whether_there_is_one_or_not(
    secured: Secured, method: MethodDescriptor
) -> None:
    """By every way to name it, also out of memory; the shop's own caller is answered."""
    asked = list(samples(method, secured.theirs))
    nobody = list(samples(method, strangers()))
    assert asked or method.name in {"BatchGet", "Lookup"}, "a method without an example"
    for request, other in zip(asked, nobody, strict=True):
        for _ in range(2 if RIGHTS[method.name] is Right.READ else 0):
            assert (await secured.outcome(method, request, "all"))[0] == "OK"
        outcome = await secured.outcome(method, request, "one")
        assert outcome[0] == "PERMISSION_DENIED"
        assert outcome[2] == {"reason": "ORGANIZATION_NOT_ALLOWED", "caller": "one"}
        assert await secured.outcome(method, other, "one") == outcome


@pytest.mark.parametrize("method", METHODS, ids=lambda one: one.name)
async def test_a_stranger_s_id_is_as_unknown_as_one_that_there_is_not(
    secured: Secured, method: MethodDescriptor
) -> None:
    """Each id of a request in turn: the same answer or refusal, and nothing of the stranger."""
    for path, kind in ids_of(method.input_type):
        outcomes = []
        for value in (int(secured.theirs[kind]), UNKNOWN):
            request = next(one for one in samples(method, secured.mine) if has(one, path[:-1]))
            put(request, path, value)
            outcomes.append(without(await secured.outcome(method, request, "one"), value, UNKNOWN))
            assert MARK.encode() not in secured.answered[-1]
        assert outcomes[0] == outcomes[1], path
        assert outcomes[0][0] in {"NOT_FOUND", "OK"}, (path, outcomes[0])


async def test_a_stranger_s_request_id_is_as_unknown_as_a_new_one(secured: Secured) -> None:
    """By every mutation; as the control, one that the shop used itself is refused."""
    client = BOOKING.methods_by_name["CreateClient"]
    for method in BOOKING.methods:
        if "request_id" not in method.input_type.fields_by_name or method.name in UNOWNED:
            continue
        outcomes = []
        for used_by in ({}, secured.theirs, secured.mine):
            key = str(uuid4())
            if used_by:
                first: Any = next(samples(client, used_by))
                first.request_id, first.notes = key, "the first"
                assert (await secured.outcome(client, first, "all"))[0] == "OK"
            request: Any = next(samples(method, secured.mine))
            for path, _ in ids_of(method.input_type):  # so that nothing is changed
                if has(request, path[:-1]):
                    put(request, path, UNKNOWN)
            request.request_id = key
            outcomes.append(await secured.outcome(method, request, "one"))
        assert outcomes[0] == outcomes[1], method.name
        assert outcomes[2][0] == "INVALID_ARGUMENT", method.name


@pytest.mark.parametrize("name", ["BatchGet", "Lookup"])
async def test_each_read_of_a_batch_is_judged_by_itself(secured: Secured, name: str) -> None:
    """One's own are answered beside a stranger's, whatever memory keeps, in every kind."""
    method = CACHE.methods_by_name[name]
    for field in READS:
        kind = CACHE.methods_by_name[rpc_of(field)]
        reads = [
            pb.BatchRead(**{field: next(of_shop(kind, known))})
            for known in (secured.mine, secured.theirs, strangers())
        ]
        request = GetMessageClass(method.input_type)(reads=reads)
        answer = GetMessageClass(method.output_type)
        for caller, expected in (("all", [0, 0, 5]), ("all", [0, 0, 5]), ("one", [0, 7, 7])):
            results = answer.FromString(await secured.ask(method, request, caller)).results
            assert [one.error.code for one in results] == expected, field
        assert results[1].error == results[2].error
        alone = GetMessageClass(method.input_type)(reads=reads[1:2])
        (result,) = answer.FromString(await secured.ask(method, alone, "one")).results
        assert result.error == results[1].error


async def test_every_method_takes_its_right_and_a_known_caller(secured: Secured) -> None:
    """With any other right it is refused, with its own judged; without a token not even that."""
    for method in METHODS:
        request = GetMessageClass(method.input_type)()
        for right in Right:
            outcome = await secured.outcome(method, request, right)
            allowed = right is RIGHTS[method.name]
            assert (outcome[2].get("reason") != "METHOD_NOT_ALLOWED") is allowed, method.name
            assert outcome[0] != "UNAUTHENTICATED"
        assert (await secured.outcome(method, request, None))[0] == "UNAUTHENTICATED"


async def test_the_page_s_commands_answer(secured: Secured) -> None:
    """With the certificate, and with the token; without either the same are refused."""
    commands = re.findall(r"^(grpcurl .*)$", PAGE.replace("\\\n", " "), re.MULTILINE)
    issued = secured.issued["tester"]
    files = {"ca.pem": issued.ca, "me.pem": issued.certificate, "me.key": issued.key}
    answers = []
    for command in commands:
        given = command.replace("$(cat token)", TOKENS["one"])
        given = given.replace("cache.example.com:50051", secured.cache.address)
        words = [str(files.get(word, word)) for word in shlex.split(given)[1:]]
        program = str(Path(sys.executable).with_name("grpcurl"))
        answers.append((await run([program, *words])).out)
        for option, size in (("-cert", 4), ("-H", 2)):  # the key goes with the certificate
            if option in words:
                at = words.index(option)
                assert (await run([program, *words[:at], *words[at + size :]])).code != 0
    assert len(answers) == 2
    assert CACHE.full_name in answers[0]
    assert '"barber_id"' in answers[1] or '"barberId"' in answers[1]


async def test_certificates_of_all_sides_replaced_while_calls_run(secured: Secured) -> None:
    """Through both services, and none fails; the booking service shows its new one at last."""
    method = BOOKING.methods_by_name["SearchAvailability"]
    calls, done = 0, asyncio.Event()

    async def call() -> None:
        nonlocal calls
        while not done.is_set():
            request = next(samples(method, secured.mine))
            request.barber_ids.append(int(secured.mine["barber"]))
            request.consistency.fully_consistent = True
            await secured.ask(method, request, "all")
            calls += 1

    async def renewed() -> bool:
        return '"certificates renewed"' in secured.booking.output()

    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(call())
        for name in ("cache", "booking_server", "booking"):
            names = () if name == "booking" else ("127.0.0.1",)
            directory = secured.issued[name].key.parent
            await asyncio.to_thread(issue, secured.authority, directory, *names, common_name=name)
        await eventually(renewed, seconds=20)
        before = calls
        while calls < before + 20:  # noqa: ASYNC110 - of whichever task
            await asyncio.sleep(0.01)
        done.set()


@pytest.mark.parametrize("name", ["cache", "booking_server", "booking"])
async def test_files_that_cannot_be_used_are_counted_until_they_can(
    secured: Secured, name: str
) -> None:
    """Those of both ports, and those that the booking service calls with; no call fails."""
    process = secured.cache if name == "cache" else secured.booking
    method = BOOKING.methods_by_name["SearchAvailability"]

    async def counts(number: int) -> bool:
        for one in (secured.cache, secured.booking):  # looked at for new connections, and calls
            async with one.channel() as channel:
                await channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=20)
        request = next(samples(method, secured.mine))
        request.barber_ids.append(int(secured.mine["barber"]))
        await secured.ask(method, request, "all")
        return f"\nchairside_files_refused {number}.0\n" in await scrape(process)

    assert await counts(0)
    secured.issued[name].certificate.write_bytes(b"rubbish")
    await eventually(partial(counts, 1), seconds=20)
    names = () if name == "booking" else ("127.0.0.1",)
    directory = secured.issued[name].key.parent
    await asyncio.to_thread(issue, secured.authority, directory, *names, common_name=name)
    await eventually(partial(counts, 0), seconds=20)


async def test_no_secret_is_told_anywhere(secured: Secured) -> None:
    """Not in logs, metrics, answers, errors, process lists; all of that is there to look at."""
    processes = (secured.cache, secured.booking)
    roots = [psutil.Process(one.pid) for one in processes]
    everyone = [one for root in roots for one in (root, *root.children(recursive=True))]
    lists = [" ".join(one.cmdline()) for one in everyone]
    metrics = [await scrape(one) for one in processes]
    logs = [one.output() for one in processes]
    answers = b"\n".join(secured.answered).decode(errors="replace")
    everything = "\n".join((*lists, *metrics, *logs, answers))
    for secret in (*SECRETS, ROLE_PASSWORD, ROLE_PASSWORD.replace(" ", "%20")):
        assert secret not in everything
    # The control: there is something of each to be found.
    assert all("serve" in one for one in lists)
    assert all("grpc_server_handled_total" in one for one in metrics)
    assert all('"settings"' in one and "***" in one for one in logs)
    assert '"caller": "one"' in logs[0]
    assert "PERMISSION" in answers or "not know of" in answers
