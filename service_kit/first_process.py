"""Let SIGTERM end the first process of a container, from its first moment on.

The kernel keeps from the first process of a PID namespace each signal that it does not handle:
told to end while it still imports, or in a command that handles none, it would go on until it is
killed at the end of its grace. To be imported before all that takes its time.
"""

import os
import signal
import sys

__all__: list[str] = []


def _end(number: int, _frame: object) -> None:
    sys.exit(128 + number)


if os.getpid() == 1:
    signal.signal(signal.SIGTERM, _end)
