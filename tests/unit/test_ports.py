"""Ports for servers that must be told one: nobody's, and given once."""

import random
import socket
import subprocess
import sys

import pytest

from devstack import ports

_OTHER = """
import sys
from devstack import ports
ports._PORTS = range(int(sys.argv[1]), int(sys.argv[2]))
print(*(ports.free_port() for _ in ports._PORTS), flush=True)
sys.stdin.read()
"""


_FIRSTS = iter(random.sample(range(10_000, ports._PORTS.start, 5), 10))
"""Of five ports below all that are given elsewhere; what is given once stays so while we live."""


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> range:
    """Leave five ports, which are nobody's."""
    first = next(_FIRSTS)
    monkeypatch.setattr(ports, "_PORTS", range(first, first + 5))
    return ports._PORTS


def test_a_port_is_given_once(few: range) -> None:
    """Each of the five, in some order, and then there is none, which is told."""
    assert sorted(ports.free_port() for _ in few) == list(few)
    with pytest.raises(OSError, match=f"no free port found from {few[0]} to {few[-1]}"):
        ports.free_port()


def test_a_port_that_somebody_listens_on_is_not_given(few: range) -> None:
    """The rest is."""
    with socket.create_server(("127.0.0.1", few[2])):
        given = {ports.free_port() for _ in range(len(few) - 1)}
        assert given == set(few) - {few[2]}
        with pytest.raises(OSError, match="no free port"):
            ports.free_port()


def test_another_process_is_given_others_until_we_end(few: range) -> None:
    """All five are its own while it lives, though it listens on none; then they are free."""
    with subprocess.Popen(
        [sys.executable, "-c", _OTHER, str(few.start), str(few.stop)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert sorted(map(int, other.stdout.readline().split())) == list(few)
        with pytest.raises(OSError, match="no free port"):
            ports.free_port()
        other.communicate()
    assert ports.free_port() in few
