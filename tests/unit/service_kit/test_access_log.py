"""The access log's batches."""

import asyncio
import json
from io import BytesIO
from threading import Event

import pytest

from service_kit import access_log
from service_kit.access_log import AccessLog, Ended
from service_kit.metrics import CallCounter
from tests.support.waiting import eventually


class _Slow(BytesIO):
    """A stream whose reader lets the writer wait."""

    def __init__(self) -> None:
        super().__init__()
        self.writing, self.go_on = Event(), Event()

    def write(self, text: bytes) -> int:  # type: ignore[override]
        """Wait for a word."""
        self.writing.set()
        assert self.go_on.wait(10)
        return super().write(text)


def _call(method: str) -> Ended:
    return CallCounter("a.B", method), 0, 1.0, 1.001, (), None


async def test_a_log_that_ends_waits_for_the_batch_on_its_way() -> None:
    """No line is lost or overtaken when the log ends while a thread still writes."""
    stream = _Slow()
    log = AccessLog(stream)
    await log.__aenter__()
    log.add(_call("first"))
    assert await asyncio.to_thread(stream.writing.wait, 10)
    log.add(_call("second"))
    ending = asyncio.ensure_future(log.__aexit__())
    await asyncio.sleep(0)
    assert not ending.done()
    stream.go_on.set()
    await ending
    lines = [json.loads(line)["method"] for line in stream.getvalue().splitlines()]
    assert lines == ["/a.B/first", "/a.B/second"]


async def test_a_reader_that_is_slow_loses_lines_and_no_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What has ended is counted when somebody asks, whether its line is written or dropped."""
    monkeypatch.setattr(access_log, "_MOST_PENDING", 3)
    stream, counter = _Slow(), CallCounter("a.B", "get")
    ended = counter, 0, 1.0, 1.001, (), None
    async with AccessLog(stream) as log:
        log.add(ended)
        assert await asyncio.to_thread(stream.writing.wait, 10)
        for _ in range(5):
            log.add(ended)
        log.count()
        assert (counter.codes[0], log.dropped) == (6, 2)
        stream.go_on.set()
    assert len(stream.getvalue().splitlines()) == 4


async def test_calls_are_counted_where_no_line_is_written() -> None:
    """By themselves, so that what has ended does not pile up, and when somebody asks."""
    counter = CallCounter("a.B", "get")
    ended = counter, 0, 1.0, 1.001, (), None

    async def counted() -> bool:
        return counter.codes[0] == 1

    async with AccessLog(None) as log:
        log.add(ended)
        await eventually(counted)
        log.add(ended)
        log.count()
        assert counter.codes[0] == 2
        assert counter.seconds.seconds == pytest.approx(0.002)
