"""The methods that book, move and change appointments."""

from booking_service.domain.statuses import Status
from booking_service.edge import messages
from booking_service.edge.mutating import Mutating, checked, etag, given
from booking_service.use_cases.appointments import AppointmentUpdate, amend
from booking_service.use_cases.booking import Booking, Move, book, move
from chairside.booking.v1 import booking_service_pb2 as pb
from chairside.cache.v1 import types_pb2 as types
from service_kit.calls import Context
from service_kit.validation import Violations

__all__ = ["MAX_NOTES", "Appointments"]

MAX_NOTES = 2000

_BOOKABLE: dict[int, Status] = {
    types.APPOINTMENT_STATUS_UNSPECIFIED: Status.SCHEDULED,
    types.APPOINTMENT_STATUS_PENDING: Status.PENDING,
    types.APPOINTMENT_STATUS_SCHEDULED: Status.SCHEDULED,
    types.APPOINTMENT_STATUS_CONFIRMED: Status.CONFIRMED,
}
_AMENDABLE = {"notes", "client_id", "price", "hold_until"}


class Appointments(Mutating):
    """Book, move, change."""

    async def CreateAppointment(
        self, request: pb.CreateAppointmentRequest, context: Context
    ) -> pb.CreateAppointmentResponse:
        """Book."""
        v = Violations()
        organization_id = v.id("organization_id", request.organization_id)
        barber_id = v.id("barber_id", request.barber_id)
        service_id = v.id("service_id", request.service_id)
        client_id = v.optional_id("client_id", request.client_id)
        start = v.timestamp(
            "start_time",
            request.start_time,
            has=request.HasField("start_time"),
            required=True,
            whole_minutes=True,
        )
        status = _BOOKABLE.get(v.enum("status", request.status, _BOOKABLE), Status.SCHEDULED)
        has_hold = request.HasField("hold_until")
        hold_until = v.timestamp("hold_until", request.hold_until, has=has_hold)
        if has_hold and status is not Status.PENDING:
            v.add("hold_until", "is for pending appointments only")
        notes = v.text("notes", request.notes, maximum=MAX_NOTES, multiline=True)
        told = checked(v, request)
        wanted = Booking(
            organization_id,
            barber_id,
            service_id,
            client_id,
            given(start),
            status,
            hold_until,
            notes,
        )
        return await self.mutate(
            context,
            told,
            lambda tx: book(tx, wanted),
            pb.CreateAppointmentResponse,
            appointment=messages.appointment,
        )

    async def UpdateAppointment(
        self, request: pb.UpdateAppointmentRequest, context: Context
    ) -> pb.UpdateAppointmentResponse:
        """Change notes, client, price or hold."""
        v = Violations()
        new = request.appointment
        mask = v.mask("update_mask", request.update_mask, _AMENDABLE)
        changes: dict[str, object] = {}
        currency = ""
        if "notes" in mask:
            changes["notes"] = v.text(
                "appointment.notes", new.notes, maximum=MAX_NOTES, multiline=True
            )
        if "client_id" in mask:
            changes["client_id"] = v.optional_id("appointment.client_id", new.client_id)
        if "price" in mask:
            price = v.money(
                "appointment.price",
                new.price,
                has=new.HasField("price"),
                minimum=0,
                required=True,
            )
            if price is not None:
                changes["price"], currency = price
        if "hold_until" in mask:
            changes["hold_until"] = v.timestamp(
                "appointment.hold_until",
                new.hold_until,
                has=new.HasField("hold_until"),
                required=True,
            )
        wanted = AppointmentUpdate(
            v.id("organization_id", request.organization_id),
            v.id("appointment.appointment_id", new.appointment_id),
            changes,
            currency,
            etag(v, request.etag),
        )
        return await self.mutate(
            context,
            checked(v, request),
            lambda tx: amend(tx, wanted),
            pb.UpdateAppointmentResponse,
            appointment=messages.appointment,
        )

    async def RescheduleAppointment(
        self, request: pb.RescheduleAppointmentRequest, context: Context
    ) -> pb.RescheduleAppointmentResponse:
        """Move to another time, barber or service."""
        v = Violations()
        has_start = request.HasField("start_time")
        wanted = Move(
            v.id("organization_id", request.organization_id),
            v.id("appointment_id", request.appointment_id),
            v.timestamp("start_time", request.start_time, has=has_start, whole_minutes=True),
            v.optional_id("barber_id", request.barber_id),
            v.optional_id("service_id", request.service_id),
            etag(v, request.etag),
        )
        if not (has_start or request.barber_id or request.service_id):
            v.add("start_time", "is required unless the barber or the service changes")
        return await self.mutate(
            context,
            checked(v, request),
            lambda tx: move(tx, wanted),
            pb.RescheduleAppointmentResponse,
            appointment=messages.appointment,
        )
