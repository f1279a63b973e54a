"""SIGTERM at the first process of a container, to which the kernel gives it only if handled."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

_PROGRAM = """
import os, signal
os.getpid = lambda: {number}
import service_kit.first_process
print("here", flush=True)
signal.pause()
"""


@pytest.mark.parametrize(("number", "code"), [(1, 128 + signal.SIGTERM), (2, -signal.SIGTERM)])
def test_the_first_process_ends_when_it_is_told(number: int, code: int) -> None:
    """It handles the signal and ends as a shell would say it; any other is left to the kernel."""
    program = [sys.executable, "-c", _PROGRAM.format(number=number)]
    with subprocess.Popen(program, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"here\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == code


@pytest.mark.parametrize("service", ["booking_service", "cache_service"])
def test_it_does_so_before_anything_else(service: str) -> None:
    """Nothing is imported before it, as a signal that comes meanwhile would be lost."""
    lines = Path(service, "__main__.py").read_text().splitlines()
    first = next(line for line in lines if line.startswith(("import ", "from ")))
    assert first.startswith("import service_kit.first_process")
