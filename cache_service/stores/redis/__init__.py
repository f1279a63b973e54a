"""The shared cache in Redis or Valkey."""

import sys

_TELEMETRY = "opentelemetry"


def _import_redis() -> None:
    """Import redis-py, of which we use little, without OpenTelemetry.

    Where that is installed, redis-py imports all of its metrics, for nobody: a third of its
    own time, and that is most of a process's start. A name that is None cannot be imported.
    """
    if _TELEMETRY in sys.modules:
        return
    sys.modules[_TELEMETRY] = None  # type: ignore[assignment]
    try:
        import redis.observability  # noqa: F401, PLC0415 - which is what imports them
    finally:
        del sys.modules[_TELEMETRY]


_import_redis()
