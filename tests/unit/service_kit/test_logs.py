"""Lines of several processes on one pipe: each whole, whatever the others write."""

import json
import logging
import os
import subprocess
import sys
from collections import Counter
from io import StringIO
from select import PIPE_BUF

import pytest
import structlog
from grpc._cython.cygrpc import ExecuteBatchError

from devstack.services import environment
from service_kit import logs

_PROCESSES = 3
_BATCHES, _CALLS, _EVENTS = 10, 400, 30

_WRITER = f"""
import asyncio, sys
import structlog
from service_kit import access_log, logs
from service_kit.access_log import AccessLog, standard_output
from service_kit.metrics import CallCounter

async def main(name, chunks):
    if chunks == "large":
        access_log._chunks = lambda lines: ["".join(lines).encode()]
    logs.configure("INFO", worker=name)
    log = structlog.get_logger("test")
    counter = CallCounter("a.B", name)
    async with AccessLog(standard_output()) as calls:
        for batch in range({_BATCHES}):
            for number in range({_CALLS}):
                sent = (("x-request-id", "x" * (number % 120)),)
                calls.add((counter, 0, 0.5, 0.6, sent, None))
            calls.count()
            # The batch is written by a thread while the events are by this one.
            writing = asyncio.to_thread(calls._write, calls._take())
            task = asyncio.ensure_future(writing)
            await asyncio.sleep(0)
            for number in range({_EVENTS}):
                try:
                    raise ValueError("x" * 200 * number)
                except ValueError:
                    log.exception("failed")
            await task

asyncio.run(main(*sys.argv[1:]))
"""


def _read(pipe: int) -> str:
    # In pieces, so that the pipe is full most of the time: else hardly any write is cut.
    found = []
    while piece := os.read(pipe, 3000):
        found.append(piece)
    return b"".join(found).decode()


def _written(chunks: str) -> list[str]:
    """Have three processes write to one pipe; return its lines."""
    reading, writing = os.pipe()
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", _WRITER, f"w{number}", chunks],
            stdout=writing,
            env=environment({}),
        )
        for number in range(_PROCESSES)
    ]
    os.close(writing)
    lines = _read(reading).splitlines()
    os.close(reading)
    assert [one.wait() for one in writers] == [0] * _PROCESSES
    return lines


def test_processes_that_share_a_pipe_write_whole_lines() -> None:
    """Calls, events and tracebacks of three processes: every line is JSON, none is lost."""
    lines = _written("small")
    events = [json.loads(line) for line in lines]
    calls = Counter(one["method"] for one in events if one["event"] == "call")
    assert calls == {f"/a.B/w{number}": _BATCHES * _CALLS for number in range(_PROCESSES)}
    failed = Counter(
        one["worker"]
        for one in events
        if one["event"] == "failed" and one.get("part", "1 of").startswith("1 of")
    )
    assert failed == {f"w{number}": _BATCHES * _EVENTS for number in range(_PROCESSES)}
    assert max(map(len, lines)) < PIPE_BUF
    assert any("part" in one for one in events)


def test_larger_writes_would_be_torn() -> None:
    """The control: written a batch at once, the same lines do not arrive whole."""
    torn = 0
    for line in _written("large"):
        try:
            json.loads(line)
        except json.JSONDecodeError:
            torn += 1
    assert torn


def _fail(text: str) -> None:
    raise ValueError(text)


def test_a_long_traceback_is_told_in_parts(capsys: pytest.CaptureFixture[str]) -> None:
    """Put together, the parts are the whole; each has the event's other fields."""
    root = logging.getLogger()
    before, level = root.handlers, root.level
    stream = StringIO()
    try:
        logs.configure("INFO", stream, worker=7)
        text = "é" * 3000
        try:
            _fail(text)
        except ValueError:
            logging.getLogger("test").exception("failed", extra={"incident": "i1"})
        logging.getLogger("test").info("short")
    finally:
        root.handlers, root.level = before, level
        structlog.reset_defaults()
    *parts, short = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert len(parts) > 1
    assert text in "".join(part["exception"] for part in parts)
    assert {part["incident"] for part in parts} == {"i1"}
    assert {part["worker"] for part in (*parts, short)} == {7}
    assert capsys.readouterr().err == ""


def test_a_caller_who_left_is_no_error_but_what_else_grpc_says_is() -> None:
    """The error of an answer that nobody takes is left out, others are told."""
    stream = StringIO()
    root = logging.getLogger()
    before = root.handlers, root.level
    try:
        logs.configure("INFO", stream)
        log = logging.getLogger("grpc._cython.cygrpc")
        for error in (ExecuteBatchError("left"), ValueError("wrong")):
            log.error("raised", exc_info=error)
    finally:
        root.handlers, root.level = before
        structlog.reset_defaults()
    (line,) = stream.getvalue().splitlines()
    assert "ValueError: wrong" in json.loads(line)["exception"]
