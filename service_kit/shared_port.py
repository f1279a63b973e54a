"""Hold a port that several processes of ours listen on, so that nobody else's can."""

import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from service_kit.settings import split_address

__all__ = ["hold"]

_ABSENT = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}


@contextmanager
def hold(address: str) -> Iterator[str]:
    """Hold `host:port` while the context lasts; yields it with the port found, if it was 0.

    Nothing listens yet; processes of the same user may, with SO_REUSEPORT. Raises OSError if
    the address is in use or cannot be bound.
    """
    host, port = split_address(address)
    with ExitStack() as stack:
        absent: OSError | None = None
        held = False
        places = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, _, _, _, place in places:
            try:
                # A name of two addresses has one port for both.
                bound = stack.enter_context(_bound(family, (place[0], port, *place[2:])))
            except OSError as error:
                if error.errno not in _ABSENT:
                    raise
                absent = error  # such as ::1 where there is no IPv6
            else:
                port, held = bound.getsockname()[1], True
        if absent is not None and not held:
            raise absent
        yield f"{address.rpartition(':')[0]}:{port}"


def _bound(family: int, place: tuple[str | int, ...]) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        # Bound for ourselves alone, but for connections of before that are not over yet ...
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(place)
        # ... and only then shared with those who ask for it as well.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    except BaseException:
        bound.close()
        raise
    return bound
