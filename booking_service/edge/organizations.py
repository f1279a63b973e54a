"""The methods for shops and their settings."""

from typing import Any

from booking_service.edge import messages
from booking_service.edge.catalogue import MAX_DURATION, MAX_NAME
from booking_service.edge.mutating import Mutating, checked, etag, given
from booking_service.use_cases.organizations import (
    NewOrganization,
    OrganizationUpdate,
    create_organization,
    update_organization,
)
from chairside.booking.v1 import booking_service_pb2 as pb
from service_kit.calls import Context
from service_kit.validation import Violations

__all__ = ["Organizations"]

_DEFAULT_INTERVAL = _DEFAULT_LEAD = 15
_MAX_LEAD = 30 * 24 * 60
_DEFAULT_HORIZON, _MAX_HORIZON = 90, 730
_FIELDS = {"name", "time_zone", "currency", "slot_interval", "lead_time", "horizon_days"}


class Organizations(Mutating):
    """Shops and their settings."""

    async def CreateOrganization(
        self, request: pb.CreateOrganizationRequest, context: Context
    ) -> pb.CreateOrganizationResponse:
        """Add a shop."""
        v = Violations()
        name = v.text("name", request.name, maximum=MAX_NAME, required=True)
        zone = v.time_zone("time_zone", request.time_zone, required=True)
        currency = v.currency("currency", request.currency, required=True)
        interval = _interval(v, request)
        lead = _lead(v, request)
        horizon = _horizon(v, request.horizon_days or _DEFAULT_HORIZON)
        told = checked(v, request)
        wanted = NewOrganization(name, given(zone), given(currency), interval, lead, horizon)
        return await self.mutate(
            context,
            told,
            lambda tx: create_organization(tx, wanted),
            pb.CreateOrganizationResponse,
            organization=messages.organization,
        )

    async def UpdateOrganization(
        self, request: pb.UpdateOrganizationRequest, context: Context
    ) -> pb.UpdateOrganizationResponse:
        """Change a shop's settings; unset spans and a horizon of 0 are the defaults."""
        v = Violations()
        new = request.organization
        organization_id = v.id("organization.organization_id", new.organization_id)
        mask = v.mask("update_mask", request.update_mask, _FIELDS)
        columns: dict[str, Any] = {}
        if "name" in mask:
            columns["name"] = v.text("organization.name", new.name, maximum=MAX_NAME, required=True)
        if "time_zone" in mask:
            columns["time_zone"] = v.time_zone(
                "organization.time_zone", new.time_zone, required=True
            )
        if "currency" in mask:
            columns["currency"] = v.currency("organization.currency", new.currency, required=True)
        if "slot_interval" in mask:
            columns["slot_interval_minutes"] = _interval(v, new, "organization.")
        if "lead_time" in mask:
            columns["lead_time_minutes"] = _lead(v, new, "organization.")
        if "horizon_days" in mask:
            columns["horizon_days"] = _horizon(
                v, new.horizon_days or _DEFAULT_HORIZON, "organization."
            )
        wanted = OrganizationUpdate(organization_id, etag(v, request.etag), columns)
        return await self.mutate(
            context,
            checked(v, request),
            lambda tx: update_organization(tx, wanted),
            pb.UpdateOrganizationResponse,
            organization=messages.organization,
        )


_Settings = pb.CreateOrganizationRequest | pb.Organization


def _interval(v: Violations, settings: _Settings, prefix: str = "") -> int:
    return v.minutes(
        f"{prefix}slot_interval",
        settings.slot_interval,
        has=settings.HasField("slot_interval"),
        minimum=1,
        maximum=MAX_DURATION,
        default=_DEFAULT_INTERVAL,
    )


def _lead(v: Violations, settings: _Settings, prefix: str = "") -> int:
    return v.minutes(
        f"{prefix}lead_time",
        settings.lead_time,
        has=settings.HasField("lead_time"),
        minimum=0,
        maximum=_MAX_LEAD,
        default=_DEFAULT_LEAD,
    )


def _horizon(v: Violations, days: int, prefix: str = "") -> int:
    if not 1 <= days <= _MAX_HORIZON:
        v.add(f"{prefix}horizon_days", f"must be from 1 to {_MAX_HORIZON} days, is {days}")
    return days
