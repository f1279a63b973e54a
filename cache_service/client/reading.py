"""The client's methods that read: what the near cache has just given out, or the long way."""

from __future__ import annotations

from collections.abc import Coroutine
from functools import partial
from typing import Any, Protocol, TypeVar

from google.protobuf.message import Message

from cache_service.client.joining import Joiner
from cache_service.client.near import Near
from cache_service.client.reads import READS, Read
from cache_service.client.remembered import Tokens
from cache_service.client.watching import Watcher
from chairside.cache.v1 import cache_service_pb2 as pb
from service_kit.wire import bytes_field

__all__ = ["Reader"]

_Request_contra = TypeVar("_Request_contra", bound=Message, contravariant=True)
_Response_co = TypeVar("_Response_co", bound=Message, covariant=True)


class Reads(Protocol[_Request_contra, _Response_co]):
    """How a read is called."""

    def __call__(
        self, request: _Request_contra, timeout: float | None = None
    ) -> Coroutine[Any, Any, _Response_co]:
        """Read within `timeout` seconds, or the reader's own."""


class Reader:
    """Reads, some of which are answered from `near`, that the `watcher` keeps true.

    Each read has a deadline, `timeout` in seconds or the reader's own.
    """

    get_availability: Reads[pb.GetAvailabilityRequest, pb.GetAvailabilityResponse]
    """Read the free slots of barbers on local days."""
    get_analytics: Reads[pb.GetAnalyticsRequest, pb.GetAnalyticsResponse]
    """Read a report."""
    get_schedule: Reads[pb.GetScheduleRequest, pb.GetScheduleResponse]
    """Read a barber's hours from today on."""
    get_booked_slots: Reads[pb.GetBookedSlotsRequest, pb.GetBookedSlotsResponse]
    """Read a barber's busy times."""
    get_user_data: Reads[pb.GetUserDataRequest, pb.GetUserDataResponse]
    """Read a client in short."""
    list_appointments: Reads[pb.ListAppointmentsRequest, pb.ListAppointmentsResponse]
    """Read a page of appointments, by start time."""
    list_clients: Reads[pb.ListClientsRequest, pb.ListClientsResponse]
    """Read a page of clients, by id."""
    list_services: Reads[pb.ListServicesRequest, pb.ListServicesResponse]
    """Read a page of services, by id."""
    list_barbers: Reads[pb.ListBarbersRequest, pb.ListBarbersResponse]
    """Read a page of barbers, by id."""

    def __init__(
        self, near: Near, watcher: Watcher, joiner: Joiner, tokens: Tokens, timeout: float
    ) -> None:
        self._near = near
        self._watcher = watcher
        self._joiner = joiner
        self._tokens = tokens
        self._timeout = timeout
        self._reads = {
            read.request: near.method(read, partial(self._ask, read)) for read in READS.values()
        }
        for read in READS.values():
            setattr(self, read.field, self._reads[read.request])

    def read(self, request: Message, timeout: float | None = None) -> Coroutine[Any, Any, Any]:
        """Make any read of the contract, which its request's type tells, with its own response.

        The methods above are the same with their types. KeyError: it is no read's request.
        """
        return self._reads[request.DESCRIPTOR.full_name](request, timeout)

    def _ask(
        self,
        read: Read,
        request: Any,  # noqa: ANN401 - of any read
        raw: bytes,
        timeout: float | None,
    ) -> Coroutine[Any, Any, Any]:
        # All that the request says is taken now: its caller may use it for another read before
        # the coroutine begins.
        keep = self._near.allows(request.consistency) if request.HasField("consistency") else 0.0
        if self._tokens:
            raw += self._demanded(read, request)
        seconds = self._timeout if timeout is None else timeout
        return self._answer(read, request.organization_id, raw, keep, seconds)

    async def _answer(
        self, read: Read, organization_id: int, raw: bytes, keep: float, seconds: float
    ) -> Any:  # noqa: ANN401 - of any read
        asked = None
        if keep:
            found = self._near.get(read, raw)
            if found is not None:
                return found
            self._watcher.start()
            asked = self._near.asks(read, organization_id, raw, keep)
        return await self._joiner.add(read, raw, seconds, asked)

    def _demanded(self, read: Read, request: Any) -> bytes:  # noqa: ANN401 - as above
        """Return the consistency that a read must carry, serialised behind its request."""
        if request.consistency.WhichOneof("requirement") is not None:
            return b""
        demand = self._tokens.demand(request.organization_id)
        return b"" if demand is None else bytes_field(read.consistency, demand.SerializeToString())
