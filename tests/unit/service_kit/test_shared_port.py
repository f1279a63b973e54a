"""A port that is held for processes of ours."""

import errno
import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from service_kit.shared_port import hold


def _bound(port: int, *, reuse_port: bool) -> socket.socket:
    """Listen as gRPC does."""
    bound = socket.socket()
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(reuse_port))
        bound.bind(("127.0.0.1", port))
        bound.listen()
    except OSError:
        bound.close()
        raise
    return bound


@pytest.fixture
def port() -> Iterator[int]:
    """Hold a free port."""
    with hold("127.0.0.1:0") as address:
        host, _, number = address.rpartition(":")
        assert host == "127.0.0.1"
        yield int(number)


def test_several_may_listen_on_a_held_port_and_get_its_connections(port: int) -> None:
    """Those that share; who holds it takes no connection away."""
    with closing(_bound(port, reuse_port=True)) as one, closing(_bound(port, reuse_port=True)):
        for _ in range(50):
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        one.settimeout(5)
        one.accept()[0].close()


def test_nobody_else_gets_it(port: int) -> None:
    """Not who does not share, nor who would hold it as well, before and after we listen."""
    for listening in (False, True):
        with closing(_bound(port, reuse_port=True) if listening else socket.socket()):
            with pytest.raises(OSError, match="in use"):
                _bound(port, reuse_port=False)
            with pytest.raises(OSError, match="in use"), hold(f"127.0.0.1:{port}"):
                pass


@pytest.mark.parametrize("shares", [False, True])
def test_it_is_not_held_where_somebody_listens(*, shares: bool) -> None:
    """Even if he would share it: two services on one port would be silent chaos."""
    with closing(_bound(0, reuse_port=shares)) as other:
        taken = other.getsockname()[1]
        with pytest.raises(OSError, match="in use") as caught, hold(f"127.0.0.1:{taken}"):
            pass
    assert caught.value.errno == errno.EADDRINUSE
    with hold(f"127.0.0.1:{taken}") as address:  # the control: now it is free
        assert address == f"127.0.0.1:{taken}"


def test_connections_that_are_not_over_yet_do_not_matter() -> None:
    """A service that ended and starts again finds its port, though clients lately used it."""
    with closing(_bound(0, reuse_port=False)) as before:
        port = before.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port), timeout=5)
        accepted = before.accept()[0]
        accepted.close()  # the server first: its side then waits a minute
        client.close()
    with socket.socket() as plain, pytest.raises(OSError, match="in use"):
        plain.bind(("127.0.0.1", port))  # the control: it does wait
    with hold(f"127.0.0.1:{port}"):
        _bound(port, reuse_port=True).close()
