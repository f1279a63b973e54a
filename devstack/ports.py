"""Ports of the loopback for servers that must be told one before they start."""

import random
import socket

__all__ = ["free_port"]

_PORTS = range(20_000, 32_768)
"""Below those that Linux, macOS and Windows give to the near end of any connection."""
_TRIES = 1_000


def free_port() -> int:
    """Return a port that nobody listens on, and that nobody who asks here gets while we live.

    Somebody else's server may still take it before ours does; a connection does not.
    OSError if none is found.
    """
    for port in random.sample(_PORTS, min(_TRIES, len(_PORTS))):
        if _nobodys(port) and _claimed(port):
            return port
    message = f"no free port found from {_PORTS.start} to {_PORTS.stop - 1}"
    raise OSError(message)


def _nobodys(port: int) -> bool:
    with socket.socket() as probe:
        return _bound(probe, port)


def _claimed(port: int) -> bool:
    # The UDP port of the same number tells the others that look here: it is in no server's way,
    # and the system lets go of it when we end, however we do.
    claim = socket.socket(type=socket.SOCK_DGRAM)
    if not _bound(claim, port):
        claim.close()
        return False
    claim.detach()
    return True


def _bound(wanted: socket.socket, port: int) -> bool:
    try:
        wanted.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True
