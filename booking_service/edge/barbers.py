"""The methods for barbers and what they offer."""

from typing import Any

from booking_service.edge import messages
from booking_service.edge.catalogue import MAX_DURATION, MAX_NAME
from booking_service.edge.mutating import Mutating, checked, etag
from booking_service.use_cases.barbers import (
    Offer,
    create_barber,
    set_barber_service,
    update_barber,
)
from booking_service.use_cases.catalogue import Change
from chairside.booking.v1 import booking_service_pb2 as pb
from service_kit.calls import Context
from service_kit.validation import Violations

__all__ = ["Barbers"]


class Barbers(Mutating):
    """Barbers and their offers."""

    async def CreateBarber(
        self, request: pb.CreateBarberRequest, context: Context
    ) -> pb.CreateBarberResponse:
        """Add a barber."""
        v = Violations()
        organization_id = v.id("organization_id", request.organization_id)
        name = v.text("name", request.name, maximum=MAX_NAME, required=True)
        return await self.mutate(
            context,
            checked(v, request),
            lambda tx: create_barber(tx, organization_id, name),
            pb.CreateBarberResponse,
            barber=lambda found: messages.barber(*found),
        )

    async def UpdateBarber(
        self, request: pb.UpdateBarberRequest, context: Context
    ) -> pb.UpdateBarberResponse:
        """Change a barber."""
        v = Violations()
        new = request.barber
        organization_id = v.id("organization_id", request.organization_id)
        barber_id = v.id("barber.barber_id", new.barber_id)
        mask = v.mask("update_mask", request.update_mask, {"name", "active"})
        columns: dict[str, Any] = {}
        if "name" in mask:
            columns["name"] = v.text("barber.name", new.name, maximum=MAX_NAME, required=True)
        if "active" in mask:
            columns["active"] = new.active
        wanted = Change(organization_id, barber_id, etag(v, request.etag), columns)
        return await self.mutate(
            context,
            checked(v, request),
            lambda tx: update_barber(tx, wanted),
            pb.UpdateBarberResponse,
            barber=lambda found: messages.barber(*found),
        )

    async def SetBarberService(
        self, request: pb.SetBarberServiceRequest, context: Context
    ) -> pb.SetBarberServiceResponse:
        """Say whether and how a barber offers a service."""
        v = Violations()
        has_duration = request.HasField("duration")
        price = v.money("price", request.price, has=request.HasField("price"), minimum=0)
        minutes = v.minutes(
            "duration", request.duration, has=has_duration, minimum=1, maximum=MAX_DURATION
        )
        wanted = Offer(
            v.id("organization_id", request.organization_id),
            v.id("barber_id", request.barber_id),
            v.id("service_id", request.service_id),
            request.offered,
            None if price is None else price.amount,
            "" if price is None else price.currency,
            minutes if has_duration else None,
        )
        return await self.mutate(
            context,
            checked(v, request),
            lambda tx: set_barber_service(tx, wanted),
            pb.SetBarberServiceResponse,
            barber_service=messages.barber_service,
        )
