"""The access log's batches."""

import asyncio
import json
from io import BytesIO
from threading import Event

from service_kit.access_log import AccessLog, Call


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


def _call(path: str) -> Call:
    return (0.0, path, 0, 0.001, "", "", None)


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
    assert lines == ["first", "second"]
