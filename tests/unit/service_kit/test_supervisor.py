"""The life of a supervisor and its workers: wrong starts, deaths, ends."""

import asyncio
import json
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import grpc
import pytest
import trustme
from grpc_health.v1 import health_pb2, health_pb2_grpc

from devstack.services import environment
from service_kit.health_probe import probe
from tests.support.certificates import issue
from tests.support.grpc_log import without_grpcs_own
from tests.support.waiting import eventually

SECONDS = 60


class Tiny:
    """The tiny service, running, and what it printed so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.out: list[str] = []
        self.err: list[str] = []

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the log's lines of that name."""
        return [line for line in map(json.loads, self.out) if line["event"] == name]

    async def read(self) -> None:
        """Read to the end of both of its outputs."""
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        reading = asyncio.ensure_future(self.process.stderr.read())
        async for line in self.process.stdout:
            self.out.append(line.decode())
        self.err = without_grpcs_own((await reading).decode())

    async def serving(self) -> dict[str, Any]:
        """Wait for the line that says so, and return it."""

        async def told() -> list[dict[str, Any]]:
            return self.events("serving")

        return (await eventually(told, seconds=SECONDS))[0]


@asynccontextmanager
async def tiny(
    fault: str, *arguments: str, variables: dict[str, str] | None = None
) -> AsyncIterator[Tiny]:
    """Run it; what is left of it at the end is killed, its workers with it."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.tiny_service", fault, "serve", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(variables or {}),
        start_new_session=True,
    )
    running = Tiny(process)
    reading = asyncio.create_task(running.read())
    try:
        yield running
        async with asyncio.timeout(SECONDS):
            await process.wait()
            await reading
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        await reading


def _scrape(port: int) -> str:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        return str(answer.read().decode())


async def test_what_every_worker_complains_of_is_told_once() -> None:
    """The exit code is 2, and stderr has the reason of one of them and nothing else."""
    async with tiny("refuses", "--workers", "3") as ran:
        pass
    assert ran.process.returncode == 2
    assert ran.err == ["CHAIRSIDE_CACHE_SOMETHING: is not as it should be"]
    assert len(ran.events("worker started")) == 3
    assert ran.events("serving") == []


async def test_a_worker_that_crashes_at_the_start_ends_all() -> None:
    """Who cannot start is not tried again for ever: the exit code is 2, and its own is told."""
    async with tiny("crashes", "--workers", "2") as ran:
        pass
    assert ran.process.returncode == 2
    assert ran.err == ["a worker ended with code 7 while starting"]


async def test_wrong_settings_are_told_before_any_worker_starts() -> None:
    """One line for each, and no worker that says it again."""
    variables = {"CHAIRSIDE_CACHE_WORKERS": "-1", "CHAIRSIDE_CACHE_DRAIN": "long"}
    async with tiny("none", variables=variables) as ran:
        pass
    assert ran.process.returncode == 2
    names = [line.partition(":")[0] for line in ran.err]
    assert sorted(names) == sorted(variables)
    assert ran.out == []


@pytest.mark.parametrize(("workers", "started"), [("1", 0), ("2", 2), ("0", None)])
async def test_how_many_workers_there_are(workers: str, started: int | None) -> None:
    """As many as the setting says; 1: none but the process itself; 0: one for each core."""
    expected = len(os.sched_getaffinity(0)) if started is None else started
    async with tiny("none", variables={"CHAIRSIDE_CACHE_WORKERS": workers}) as ran:
        line = await ran.serving()
        assert re.fullmatch(r"127\.0\.0\.1:[1-9]\d*", line["listen"])
        assert "grpc_server_open_calls" in await asyncio.to_thread(_scrape, line["metrics_port"])
        assert len(ran.events("worker started")) == expected - (expected == 1)
        ran.process.send_signal(signal.SIGTERM)
    assert ran.process.returncode == 0
    assert ran.err == []


def _hosts() -> list[str]:
    hosts = ["0.0.0.0", "localhost"]
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return hosts  # this machine has no IPv6
    return [*hosts, "[::1]", "[::]"]


@pytest.mark.parametrize("host", _hosts())
async def test_workers_share_any_address(host: str) -> None:
    """Names of two addresses and wildcards have one port, too, chosen once for all."""
    async with tiny(
        "none", "--workers", "2", variables={"CHAIRSIDE_CACHE_LISTEN": f"{host}:0"}
    ) as ran:
        port = (await ran.serving())["listen"].rpartition(":")[2]
        target = host.replace("0.0.0.0", "127.0.0.1").replace("[::]", "[::1]")
        async with grpc.aio.insecure_channel(f"{target}:{port}") as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            answer = await stub.Check(health_pb2.HealthCheckRequest())
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        ran.process.send_signal(signal.SIGTERM)
    assert ran.process.returncode == 0


async def test_workers_share_a_port_with_tls_as_well(tmp_path: Path) -> None:
    """Each shows the certificate of the settings, and whoever does not trust it gets nothing."""
    issued = issue(trustme.CA(), tmp_path, "127.0.0.1")
    stranger = trustme.CA().cert_pem.bytes()
    variables = dict(issued.variables("CHAIRSIDE_CACHE_"))
    async with tiny("none", "--workers", "2", variables=variables) as ran:
        address = (await ran.serving())["listen"]
        states = [
            await asyncio.to_thread(probe, address, credentials=grpc.ssl_channel_credentials(ca))
            for ca in (issued.ca.read_bytes(),) * 4 + (stranger,)
        ]
        assert states == ["SERVING"] * 4 + ["UNAVAILABLE"]
        ran.process.send_signal(signal.SIGTERM)
    assert ran.process.returncode == 0


async def test_a_worker_that_dies_again_and_again_is_waited_for_longer() -> None:
    """The pauses grow while each dies soon after its start, and all deaths are counted."""
    async with tiny("crashes later", "--workers", "2") as ran:
        line = await ran.serving()

        async def often() -> bool:
            return len(ran.events("worker ended")) >= 5

        await eventually(often, seconds=SECONDS)
        text = await asyncio.to_thread(_scrape, line["metrics_port"])
        ran.process.send_signal(signal.SIGTERM)
    assert ran.process.returncode == 0
    ends = ran.events("worker ended")
    assert {end["code"] for end in ends} == {8}
    # Of two workers in turn, and one that took its time to die has no pause.
    pauses = sorted({end["again_in"] for end in ends} - {0.0})
    assert len(pauses) > 1
    assert pauses == [pauses[0] * 2**times for times in range(len(pauses))]
    counted = re.search(r"^chairside_worker_restarts_total (\S+)$", text, re.MULTILINE)
    assert counted is not None
    assert 2 <= float(counted[1]) <= len(ends)


async def test_a_worker_that_does_not_end_is_killed() -> None:
    """After the grace and a margin what is left is killed; the exit code is 0."""
    async with tiny("never ends", "--workers", "2") as ran:
        await ran.serving()
        ran.process.send_signal(signal.SIGTERM)
    assert ran.process.returncode == 0
    (line,) = ran.events("killing workers that do not end")
    assert line["workers"] == 2
    for started in ran.events("worker started"):
        with pytest.raises(ProcessLookupError):
            os.kill(started["pid"], 0)


async def test_a_signal_while_workers_start_ends_them() -> None:
    """Ctrl-C right after the start: no traceback, no worker, exit code 0."""
    async with tiny("starts slowly", "--workers", "2") as ran:

        async def starting() -> bool:
            return len(ran.events("worker started")) == 2

        await eventually(starting, seconds=SECONDS)
        os.killpg(ran.process.pid, signal.SIGINT)
    assert ran.process.returncode == 0
    assert ran.err == []
    assert ran.events("serving") == []
