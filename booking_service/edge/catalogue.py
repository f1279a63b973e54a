"""The methods for services and clients."""

from collections.abc import Collection
from decimal import Decimal
from typing import Any

from booking_service.edge import messages
from booking_service.edge.appointments import MAX_NOTES
from booking_service.edge.mutating import Mutating, checked, etag
from booking_service.use_cases import catalogue as use_cases
from booking_service.use_cases.catalogue import Change, NewClient, NewService
from chairside.booking.v1 import booking_service_pb2 as pb
from chairside.cache.v1 import types_pb2 as types
from service_kit.calls import Context
from service_kit.validation import Violations

__all__ = ["MAX_DURATION", "MAX_NAME", "Catalogue"]

MAX_NAME = 200
MAX_DURATION = 24 * 60

_MAX_CATEGORY = 100
_MAX_EMAIL = 320
_MAX_PHONE = 50
_MAX_BUFFER = 120
_SERVICE_FIELDS = {"name", "category", "duration", "buffer_before", "buffer_after", "price"}
_CLIENT_FIELDS = {"name", "email", "phone", "notes"}


class Catalogue(Mutating):
    """Services and clients."""

    async def CreateService(
        self, request: pb.CreateServiceRequest, context: Context
    ) -> pb.CreateServiceResponse:
        """Add a service."""
        v = Violations()
        organization_id = v.id("organization_id", request.organization_id)
        columns, currency = _service(v, request, _SERVICE_FIELDS)
        told = checked(v, request)
        wanted = NewService(organization_id, currency=currency, **columns)
        return await self.mutate(
            context,
            told,
            lambda tx: use_cases.create_service(tx, wanted),
            pb.CreateServiceResponse,
            service=messages.service,
        )

    async def UpdateService(
        self, request: pb.UpdateServiceRequest, context: Context
    ) -> pb.UpdateServiceResponse:
        """Change a service."""
        v = Violations()
        organization_id = v.id("organization_id", request.organization_id)
        service_id = v.id("service.service_id", request.service.service_id)
        mask = v.mask("update_mask", request.update_mask, _SERVICE_FIELDS)
        columns, currency = _service(v, request.service, mask, "service.")
        wanted = Change(organization_id, service_id, etag(v, request.etag), columns, currency)
        return await self.mutate(
            context,
            checked(v, request),
            lambda tx: use_cases.update_service(tx, wanted),
            pb.UpdateServiceResponse,
            service=messages.service,
        )

    async def DeleteService(
        self, request: pb.DeleteServiceRequest, context: Context
    ) -> pb.DeleteServiceResponse:
        """Take a service out of use."""
        v = Violations()
        wanted = Change(
            v.id("organization_id", request.organization_id),
            v.id("service_id", request.service_id),
            etag(v, request.etag),
        )
        return await self.mutate(
            context,
            checked(v, request),
            lambda tx: use_cases.delete_service(tx, wanted),
            pb.DeleteServiceResponse,
            service=messages.service,
        )

    async def CreateClient(
        self, request: pb.CreateClientRequest, context: Context
    ) -> pb.CreateClientResponse:
        """Add a client."""
        v = Violations()
        organization_id = v.id("organization_id", request.organization_id)
        columns = _client(v, request, _CLIENT_FIELDS)
        told = checked(v, request)
        wanted = NewClient(organization_id, **columns)
        return await self.mutate(
            context,
            told,
            lambda tx: use_cases.create_client(tx, wanted),
            pb.CreateClientResponse,
            client=messages.client,
        )

    async def UpdateClient(
        self, request: pb.UpdateClientRequest, context: Context
    ) -> pb.UpdateClientResponse:
        """Change a client."""
        v = Violations()
        organization_id = v.id("organization_id", request.organization_id)
        client_id = v.id("client.client_id", request.client.client_id)
        mask = v.mask("update_mask", request.update_mask, _CLIENT_FIELDS)
        columns = _client(v, request.client, mask, "client.")
        wanted = Change(organization_id, client_id, etag(v, request.etag), columns)
        return await self.mutate(
            context,
            checked(v, request),
            lambda tx: use_cases.update_client(tx, wanted),
            pb.UpdateClientResponse,
            client=messages.client,
        )

    async def DeleteClient(
        self, request: pb.DeleteClientRequest, context: Context
    ) -> pb.DeleteClientResponse:
        """Take a client out of use and forget who it was."""
        v = Violations()
        wanted = Change(
            v.id("organization_id", request.organization_id),
            v.id("client_id", request.client_id),
            etag(v, request.etag),
        )
        return await self.mutate(
            context,
            checked(v, request),
            lambda tx: use_cases.delete_client(tx, wanted),
            pb.DeleteClientResponse,
            client=messages.client,
        )


def _service(
    v: Violations,
    given: pb.CreateServiceRequest | types.Service,
    mask: Collection[str],
    prefix: str = "",
) -> tuple[dict[str, Any], str]:
    """Read the columns that the mask names, and the currency of a price; an unset price is 0."""
    columns: dict[str, Any] = {}
    currency = ""
    if "name" in mask:
        columns["name"] = v.text(f"{prefix}name", given.name, maximum=MAX_NAME, required=True)
    if "category" in mask:
        columns["category"] = v.text(f"{prefix}category", given.category, maximum=_MAX_CATEGORY)
    if "duration" in mask:
        columns["duration_minutes"] = v.minutes(
            f"{prefix}duration",
            given.duration,
            has=given.HasField("duration"),
            minimum=1,
            maximum=MAX_DURATION,
            required=True,
        )
    if "buffer_before" in mask:
        columns["buffer_before_minutes"] = v.minutes(
            f"{prefix}buffer_before",
            given.buffer_before,
            has=given.HasField("buffer_before"),
            minimum=0,
            maximum=_MAX_BUFFER,
        )
    if "buffer_after" in mask:
        columns["buffer_after_minutes"] = v.minutes(
            f"{prefix}buffer_after",
            given.buffer_after,
            has=given.HasField("buffer_after"),
            minimum=0,
            maximum=_MAX_BUFFER,
        )
    if "price" in mask:
        price = v.money(f"{prefix}price", given.price, has=given.HasField("price"), minimum=0)
        columns["price"], currency = price or (Decimal(0), "")
    return columns, currency


def _client(
    v: Violations,
    given: pb.CreateClientRequest | types.Client,
    mask: Collection[str],
    prefix: str = "",
) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    if "name" in mask:
        columns["name"] = v.text(f"{prefix}name", given.name, maximum=MAX_NAME, required=True)
    if "email" in mask:
        columns["email"] = v.text(f"{prefix}email", given.email, maximum=_MAX_EMAIL)
    if "phone" in mask:
        columns["phone"] = v.text(f"{prefix}phone", given.phone, maximum=_MAX_PHONE)
    if "notes" in mask:
        columns["notes"] = v.text(f"{prefix}notes", given.notes, maximum=MAX_NOTES, multiline=True)
    return columns
