"""One successful call of every method, in an order in which each finds what it needs."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

__all__ = ["BOOKING_CALLS", "CACHE_CALLS", "Call", "Known"]

Known = dict[str, Any]
"""What earlier calls told: ids by name."""

Call = tuple[str, Callable[[Known], Mapping[str, Any]], str]
"""A method, the request, and a path of its answer that is kept: `name=field.field`."""


def _at(hours: int) -> str:
    """Make an instant on the day after tomorrow, open all day."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return (today + timedelta(days=2, hours=hours)).isoformat().replace("+00:00", "Z")


def _day(days: int) -> Mapping[str, int]:
    day = datetime.now(UTC).date() + timedelta(days=days)
    return {"year": day.year, "month": day.month, "day": day.day}


def _org(known: Known, **more: Any) -> Mapping[str, Any]:
    return {"organization_id": known["organization"], **more}


def _booking(known: Known, hours: int) -> Mapping[str, Any]:
    return _org(
        known,
        barber_id=known["barber"],
        service_id=known["service"],
        client_id=known["client"],
        start_time=_at(hours),
    )


def _mask(path: str) -> Mapping[str, list[str]]:
    """Make a mask as this grpcurl reads it: newer ones take a string."""
    return {"paths": [path]}


_ALWAYS = [{"opens": {}, "closes": {"hours": 24}}]

BOOKING_CALLS: tuple[Call, ...] = (
    (
        "CreateOrganization",
        lambda _: {"name": "Zoë's", "time_zone": "UTC", "currency": "EUR"},
        "organization=organization.organization_id",
    ),
    (
        "UpdateOrganization",
        lambda k: {"organization": _org(k, horizon_days=60), "update_mask": _mask("horizon_days")},
        "",
    ),
    ("CreateBarber", lambda k: _org(k, name="Bo"), "barber=barber.barber_id"),
    (
        "UpdateBarber",
        lambda k: _org(
            k, barber={"barber_id": k["barber"], "name": "Jo"}, update_mask=_mask("name")
        ),
        "",
    ),
    (
        "CreateService",
        lambda k: _org(k, name="Cut", duration="1800s", price={"units": 30}),
        "service=service.service_id",
    ),
    (
        "UpdateService",
        lambda k: _org(
            k,
            service={"service_id": k["service"], "buffer_after": "300s"},
            update_mask=_mask("buffer_after"),
        ),
        "",
    ),
    (
        "SetBarberService",
        lambda k: _org(k, barber_id=k["barber"], service_id=k["service"], offered=True),
        "",
    ),
    (
        "SetWeeklyHours",
        lambda k: _org(
            k,
            barber_id=k["barber"],
            weekdays=[{"weekday": n, "periods": _ALWAYS} for n in range(7)],
        ),
        "",
    ),
    (
        "SetSpecialHours",
        lambda k: _org(k, barber_id=k["barber"], date=_day(9), periods=_ALWAYS),
        "",
    ),
    (
        "AddTimeOff",
        lambda k: _org(k, barber_id=k["barber"], start_time=_at(100), end_time=_at(101)),
        "time_off=time_off.time_off_id",
    ),
    ("RemoveTimeOff", lambda k: _org(k, time_off_id=k["time_off"]), ""),
    ("CreateClient", lambda k: _org(k, name="Ann"), "client=client.client_id"),
    (
        "UpdateClient",
        lambda k: _org(
            k, client={"client_id": k["client"], "name": "Eve"}, update_mask=_mask("name")
        ),
        "",
    ),
    (
        "SearchAvailability",
        lambda k: _org(k, service_id=k["service"]),
        "slot=next_available.slot.start_time",
    ),
    ("CreateAppointment", lambda k: _booking(k, 1), "first=appointment.appointment_id"),
    ("CreateAppointment", lambda k: _booking(k, 3), "second=appointment.appointment_id"),
    ("CreateAppointment", lambda k: _booking(k, 5), "late=appointment.appointment_id"),
    (
        "UpdateAppointment",
        lambda k: _org(
            k,
            appointment={"appointment_id": k["first"], "notes": "fringe"},
            update_mask=_mask("notes"),
        ),
        "",
    ),
    (
        "RescheduleAppointment",
        lambda k: _org(k, appointment_id=k["first"], start_time=_at(2)),
        "",
    ),
    ("ConfirmAppointment", lambda k: _org(k, appointment_id=k["first"]), ""),
    ("StartAppointment", lambda k: _org(k, appointment_id=k["first"]), ""),
    ("CompleteAppointment", lambda k: _org(k, appointment_id=k["first"]), ""),
    ("GetAppointment", lambda k: _org(k, appointment_id=k["first"]), ""),
    ("CancelAppointment", lambda k: _org(k, appointment_id=k["second"]), ""),
    (
        "ConfirmPayment",
        lambda k: _org(k, appointment_id=k["first"], amount={"units": 30}),
        "payment=payment.payment_id",
    ),
    ("RefundPayment", lambda k: _org(k, payment_id=k["payment"], amount={"units": 1}), ""),
    ("GetDashboard", lambda k: _org(k, target_annual_income=50000), ""),
    ("MarkNoShow", lambda k: _org(k, appointment_id=k["late"]), ""),
    ("DeleteService", lambda k: _org(k, service_id=k["service"]), ""),
    ("DeleteClient", lambda k: _org(k, client_id=k["client"]), ""),
)

CACHE_CALLS: tuple[Call, ...] = (
    ("GetAvailability", lambda _: {"organization_id": 1, "service_id": 1}, ""),
    (
        "GetAnalytics",
        lambda _: {"organization_id": 1, "six_figure": {"target_annual_income": 100000}},
        "",
    ),
    (
        "GetAnalytics",
        lambda _: {
            "organization_id": 1,
            "start_date": _day(-60),
            "end_date": _day(1),
            "revenue": {"group_by": "GROUP_BY_WEEK"},
        },
        "",
    ),
    (
        "GetAnalytics",
        lambda _: {
            "organization_id": 1,
            "start_date": _day(-60),
            "end_date": _day(1),
            "appointment_stats": {},
        },
        "",
    ),
    (
        "GetAnalytics",
        lambda _: {
            "organization_id": 1,
            "start_date": _day(-60),
            "end_date": _day(1),
            "patterns": {},
        },
        "",
    ),
    ("GetAnalytics", lambda _: {"organization_id": 1, "retention": {}}, ""),
    ("GetAnalytics", lambda _: {"organization_id": 1, "lifetime_value": {}}, ""),
    (
        "GetAnalytics",
        lambda _: {
            "organization_id": 1,
            "start_date": _day(-30),
            "end_date": _day(0),
            "dashboard": {},
        },
        "",
    ),
    (
        "GetAnalytics",
        lambda _: {"organization_id": 1, "comparison": {"against": "AGAINST_QUARTER"}},
        "",
    ),
    (
        "GetAnalytics",
        lambda _: {
            "organization_id": 1,
            "barber_id": 1,
            "start_date": _day(-60),
            "end_date": _day(1),
            "barber_performance": {},
        },
        "",
    ),
    ("GetSchedule", lambda _: {"organization_id": 1, "barber_id": 1}, ""),
    (
        "GetBookedSlots",
        lambda _: {
            "organization_id": 1,
            "barber_id": 1,
            "start_date": _day(-7),
            "end_date": _day(7),
        },
        "",
    ),
    ("GetUserData", lambda _: {"organization_id": 1, "client_id": 1}, ""),
    ("ListAppointments", lambda _: {"organization_id": 1, "page_size": 2}, ""),
    ("ListClients", lambda _: {"organization_id": 1, "page_size": 2}, "page=next_page_token"),
    (
        "ListClients",
        lambda k: {"organization_id": 1, "page_size": 2, "page_token": k["page"]},
        "",
    ),
    ("ListServices", lambda _: {"organization_id": 1}, ""),
    ("ListBarbers", lambda _: {"organization_id": 1}, ""),
    ("Invalidate", lambda _: {"scope": {"organization_id": 1}}, "token=token"),
    ("Warm", lambda _: {"organization_id": 1, "barber_ids": [1], "days_ahead": 1}, ""),
    ("Explain", lambda _: {"list_barbers": {"organization_id": 1}}, ""),
    ("GetStats", lambda _: {"organization_id": 1}, ""),
    (
        "BatchGet",
        lambda _: {"reads": [{"list_barbers": {"organization_id": 1}}, {}], "with_tags": True},
        "",
    ),
    (
        "Lookup",
        lambda _: {"id": 7, "reads": [{"get_schedule": {"organization_id": 1, "barber_id": 1}}]},
        "",
    ),
)
