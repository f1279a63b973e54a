"""The methods that carry an appointment through its statuses."""

from typing import Any, TypeVar

from google.protobuf.message import Message

from booking_service.domain.statuses import Status
from booking_service.edge import messages
from booking_service.edge.mutating import Mutating, checked, etag
from booking_service.use_cases.statuses import Step, advance
from chairside.booking.v1 import booking_service_pb2 as pb
from service_kit.calls import Context
from service_kit.validation import Violations

__all__ = ["MAX_REASON", "Statuses"]

MAX_REASON = 500

_Response = TypeVar("_Response", bound=Message)


class Statuses(Mutating):
    """Confirm, start, complete, cancel, miss."""

    async def ConfirmAppointment(
        self, request: pb.ConfirmAppointmentRequest, context: Context
    ) -> pb.ConfirmAppointmentResponse:
        """Confirm a pending or scheduled appointment."""
        return await self._advance(
            request, context, Status.CONFIRMED, pb.ConfirmAppointmentResponse
        )

    async def StartAppointment(
        self, request: pb.StartAppointmentRequest, context: Context
    ) -> pb.StartAppointmentResponse:
        """Start a scheduled or confirmed appointment."""
        return await self._advance(
            request, context, Status.IN_PROGRESS, pb.StartAppointmentResponse
        )

    async def CompleteAppointment(
        self, request: pb.CompleteAppointmentRequest, context: Context
    ) -> pb.CompleteAppointmentResponse:
        """Complete an appointment."""
        return await self._advance(
            request, context, Status.COMPLETED, pb.CompleteAppointmentResponse
        )

    async def CancelAppointment(
        self, request: pb.CancelAppointmentRequest, context: Context
    ) -> pb.CancelAppointmentResponse:
        """Cancel an appointment and free its time."""
        return await self._advance(
            request, context, Status.CANCELLED, pb.CancelAppointmentResponse, request.reason
        )

    async def MarkNoShow(
        self, request: pb.MarkNoShowRequest, context: Context
    ) -> pb.MarkNoShowResponse:
        """Say that the client did not come."""
        return await self._advance(request, context, Status.NO_SHOW, pb.MarkNoShowResponse)

    async def _advance(
        self,
        request: Any,  # noqa: ANN401 - any of the above, which have these fields in common
        context: Context,
        status: Status,
        response: type[_Response],
        reason: str = "",
    ) -> _Response:
        v = Violations()
        wanted = Step(
            v.id("organization_id", request.organization_id),
            v.id("appointment_id", request.appointment_id),
            status,
            etag(v, request.etag),
            v.text("reason", reason, maximum=MAX_REASON, multiline=True),
        )
        return await self.mutate(
            context,
            checked(v, request),
            lambda tx: advance(tx, wanted),
            response,
            appointment=messages.appointment,
        )
