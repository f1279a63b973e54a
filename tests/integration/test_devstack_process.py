"""`python -m devstack` as a program: what it leaves behind when it fails or is killed."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

_SECONDS = 120
_FREE_PORTS = [
    part
    for name in ("cache", "booking", "cache-metrics", "booking-metrics")
    for part in (f"--{name}", "127.0.0.1:0")
]


@pytest.fixture
def data(server_directory: Path, request: pytest.FixtureRequest) -> Path:
    """Give each test a data directory that Postgres may reach."""
    return server_directory / f"devstack-{request.node.name[:40]}"


async def _children_of(pid: int, name: str) -> AsyncIterator[psutil.Process]:
    while True:
        for child in psutil.Process(pid).children():
            with suppress(psutil.NoSuchProcess):  # it may end as we look
                if child.name() == name:
                    yield child
        await asyncio.sleep(0.02)


async def _start(data: Path, *options: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "devstack", "--data-dir", str(data), *_FREE_PORTS, *options),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={k: v for k, v in os.environ.items() if not k.startswith("CHAIRSIDE_")},
    )


async def test_nothing_is_left_when_a_start_fails_half_way(data: Path, tmp_path: Path) -> None:
    """Books without a file: the loader fails, devstack says so, and both servers are gone."""
    process = await _start(data, "--salon", str(tmp_path))
    async with asyncio.timeout(_SECONDS):
        postgres = await anext(_children_of(process.pid, "postgres"))
        output = (await process.communicate())[0].decode()
    assert process.returncode == 1
    assert "import-salon ended with code 1" in output
    assert not postgres.is_running()
    assert not (data / "state.json").exists()


async def test_every_address_that_cannot_be_had_is_named_before_anything_starts(
    data: Path,
) -> None:
    """With the option that takes another; what nobody holds is not named."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        process = await _start(data, "--cache", address, "--booking-metrics", "9102")
        async with asyncio.timeout(_SECONDS):
            output = (await process.communicate())[0].decode()
    assert process.returncode == 1
    assert output.splitlines() == [
        "Cannot listen on",
        f"  --cache {address}: Address already in use",
        "  --booking-metrics 9102: must be host:port, port 0 to 65535",
        'For others: make run OPTIONS="--cache HOST:PORT --booking-metrics HOST:PORT"',
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
async def test_no_orphan_survives_a_signal_during_the_start(
    data: Path, number: signal.Signals
) -> None:
    """Ctrl-C stops what was started, in order; a kill takes the children along."""
    process = await _start(data)
    async with asyncio.timeout(_SECONDS):
        valkey = await anext(_children_of(process.pid, "valkey-server"))
        postgres = await anext(_children_of(process.pid, "postgres"))
        assert postgres.is_running()  # the control: it was there to be left behind
        process.send_signal(number)
        await process.communicate()
        await asyncio.to_thread(psutil.wait_procs, [valkey, postgres], timeout=20)
    assert process.returncode == (0 if number is signal.SIGINT else -signal.SIGKILL)
    assert not valkey.is_running()
    assert not postgres.is_running()
