"""JSON lines for everything but calls, from structlog and the standard library alike.

Several processes may share the stream. A pipe takes `PIPE_BUF` bytes at once for
sure, and only a traceback makes a line longer than that: it is told in parts.
"""

import json
import logging
import sys
from select import PIPE_BUF
from typing import TextIO

import structlog

__all__ = ["configure"]


# Characters of a traceback in one line: with their escapes and the other fields they fit.
_PART = 2500


def configure(level: str, stream: TextIO | None = None, **fields: object) -> None:
    """Send all logs of at least `level` (DEBUG to CRITICAL) as JSON lines to `stream` or stdout.

    Every line has the `fields`.
    """

    def tell_fields(
        _logger: object, _name: str, event: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        return {**event, **fields}

    shared: list[structlog.typing.Processor] = [
        tell_fields,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = _LineByLine(stream or sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.EventRenamer("event"),
                _render,
            ],
        )
    )
    handler.addFilter(_of_ours)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)


def _of_ours(record: logging.LogRecord) -> bool:
    """Leave out what gRPC says, with a traceback, of each caller who left before their answer."""
    kind = record.exc_info[0] if record.exc_info else None
    return kind is None or kind.__name__ != "ExecuteBatchError"  # which has no types to import


class _LineByLine(logging.StreamHandler[TextIO]):
    """Write each line of an event by itself."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            for line in self.format(record).split("\n"):
                self.stream.write(f"{line}\n")
                self.flush()
        except Exception:  # noqa: BLE001 - a line that cannot be written fails no call
            self.handleError(record)


def _render(_logger: object, _name: str, event: structlog.typing.EventDict) -> str:
    line = json.dumps(event, default=str)
    if len(line) < PIPE_BUF or "exception" not in event:
        return line
    text = str(event["exception"])
    parts = [text[start : start + _PART] for start in range(0, len(text), _PART)]
    return "\n".join(
        json.dumps({**event, "exception": part, "part": f"{number} of {len(parts)}"}, default=str)
        for number, part in enumerate(parts, 1)
    )
