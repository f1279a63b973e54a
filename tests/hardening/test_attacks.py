"""Attackers at work: nobody else is refused, nothing dies, nothing grows without end."""

import asyncio
import json
import sys
from dataclasses import asdict

import grpc
import psutil
import pytest

from benchmarks.attackers import Came
from benchmarks.attacks import ATTACKS, Attack
from chairside.cache.v1 import cache_service_pb2 as pb
from chairside.cache.v1.cache_service_pb2_grpc import CacheServiceStub
from tests.support.stack import System

_METHOD = "/chairside.cache.v1.CacheService/GetAvailability"
_SECONDS = 0.7
_RATES = {"messages": 300, "halves": 500, "unread": 500, "metadata": 300, "idle": 0, "silent": 0}
_RATE = 4000
_QUIET = {"idle", "silent"}
_CONNECTIONS = {"idle": 300, "silent": 300, "frames": 5, "noise": 5}
_PAUSE = 0.02
_MOST_GROWTH = 1.2
_TRIES = 5
"""Attackers leave the core to whoever wants it: on a busy machine one may come to nothing."""


async def _attack(system: System, kind: str) -> tuple[Came, int]:
    """Attack until that came to something; return to what, and our answers meanwhile."""
    for _ in range(_TRIES):
        came, answers = await _attack_once(system, kind)
        if came.opened and (came.done or kind in _QUIET):
            break
    return came, answers


async def _attack_once(system: System, kind: str) -> tuple[Came, int]:
    """Attack with a process of its own while we ask."""
    request = pb.GetAvailabilityRequest(organization_id=1, service_id=1)
    attack = Attack(
        kind,
        system.cache.address,
        _METHOD,
        request.SerializeToString().hex(),
        _RATES.get(kind, _RATE),
        _CONNECTIONS.get(kind, 1),
        _SECONDS,
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.attackers", json.dumps(asdict(attack))),
        stdout=asyncio.subprocess.PIPE,
    )
    attacking = asyncio.ensure_future(process.communicate())
    answers = 0
    options = [("grpc.use_local_subchannel_pool", 1)]  # a connection of our own, a new one
    async with grpc.aio.insecure_channel(system.cache.address, options) as channel:
        stub = CacheServiceStub(channel)
        while not attacking.done():
            answer = await stub.GetAvailability(request, timeout=30)
            assert len(answer.barbers) == 1
            answers += 1
            await asyncio.sleep(_PAUSE)
    output, _ = attacking.result()
    return Came(**json.loads(output)), answers


@pytest.mark.parametrize("kind", ATTACKS)
async def test_others_are_answered_during_an_attack(attacked: System, kind: str) -> None:
    """Each caller gets an answer, the process lives, and a second attack finds it no larger."""
    size = psutil.Process(attacked.cache.pid).memory_info
    came, answers = await _attack(attacked, kind)
    grown = size().rss
    again, _ = await _attack(attacked, kind)
    assert min(came.opened, again.opened) > 0  # the control: they attacked
    assert min(came.done, again.done) > 0 or kind in _QUIET
    assert answers > 1
    assert attacked.cache.running
    assert size().rss < grown * _MOST_GROWTH
    lines = attacked.cache.output().splitlines()
    assert all(line.startswith("{") for line in lines)  # nothing of what attackers sent
    assert not [line for line in lines if '"level": "error"' in line]
