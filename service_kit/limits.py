"""What one client, and all together, may ask of gRPC before a call of theirs is ours.

Measured with grpcio 1.85; docs/hardening.md has the figures. What is said of streams holds
for what a connection has open: a call that its client has reset stays until Python has taken
it up and let it go, 0.2 ms each, one after another and in the order in which all came. So
everybody waits for as many as there may be.
"""

from dataclasses import dataclass

from service_kit.errors import LARGEST_ANSWER

__all__ = ["Limits", "server_options"]

_MOST_PENDING = 10_000
"""Calls that wait to be taken up; of those above some, of twice as many all are CANCELLED,
whosesoever they are. By default it is a tenth of that, which ten connections fill."""
_METADATA_BYTES = 8 * 1024, 16 * 1024
"""Above the first some calls are refused, above the second all, as gRPC itself does."""
_HANDSHAKE_MS = 5_000
_AGE_GRACE_MS = 60_000
"""What is still open on a connection that has had its time is given so long."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits by connection and of connections; ages in seconds, sizes in bytes."""

    streams: int = 50
    connections: int = 1000
    message: int = 384 * 1024
    age: float = 3600.0
    idle: float = 300.0


def server_options(limits: Limits | None = None, *, shared: bool = False) -> list[tuple[str, int]]:
    """Return the channel options of our servers; `shared` by workers on one port."""
    limits = limits or Limits()
    soft, hard = _METADATA_BYTES
    return [
        # Else a second process would share the port without a word.
        ("grpc.so_reuseport", int(shared)),
        # A client's library keeps what is above waiting. It knows that a call has ended before
        # we have let it go, and of those answered at once none has been: without room for as many
        # again its next calls fail with a bare UNAVAILABLE (a refused stream).
        ("grpc.max_concurrent_streams", limits.streams),
        ("grpc.http2.max_deallocating_streams", limits.streams),
        ("grpc.server.max_pending_requests", _MOST_PENDING),
        ("grpc.server.max_pending_requests_hard_limit", 2 * _MOST_PENDING),
        # More are closed as they come.
        ("grpc.max_allowed_incoming_connections", limits.connections),
        ("grpc.server_handshake_timeout_ms", _HANDSHAKE_MS),
        # Whoever holds a connection for nothing, or does not read, holds it so long at most.
        ("grpc.max_connection_idle_ms", round(limits.idle * 1000)),
        ("grpc.max_connection_age_ms", round(limits.age * 1000)),
        ("grpc.max_connection_age_grace_ms", _AGE_GRACE_MS),
        ("grpc.max_metadata_size", soft),
        ("grpc.absolute_max_metadata_size", hard),
        # Refused by the length that it is said to have, before any of it is kept.
        ("grpc.max_receive_message_length", limits.message),
        # Else calls of a connection that sends much are let send ever more before they are read.
        ("grpc.http2.bdp_probe", 0),
        ("grpc.max_send_message_length", LARGEST_ANSWER),
        # Clients may ping every 10 s; a client that is gone is noticed within a minute.
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.keepalive_time_ms", 45_000),
        ("grpc.keepalive_timeout_ms", 10_000),
    ]
