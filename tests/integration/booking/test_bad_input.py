"""Wrong requests: each names every wrong field, and changes nothing."""

from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date
from google.type.money_pb2 import Money

from chairside.booking.v1 import booking_service_pb2 as pb
from chairside.cache.v1 import types_pb2 as types
from tests.integration.booking.house import HOUR, MONDAY, House, cad, period, stamp
from tests.support.failures import failure

NOON = stamp(MONDAY + 4 * HOUR)
ODD = Timestamp(seconds=NOON.seconds + 1)
MINUTE, DAY_AND_MORE = Duration(seconds=60), Duration(seconds=24 * 3600 + 60)
WHO = {"organization_id": 1, "barber_id": 1}
BOOK = {**WHO, "service_id": 1, "start_time": NOON}
ONE = {"organization_id": 1, "appointment_id": 1}


def mask(*paths: str) -> FieldMask:
    """Make a field mask."""
    return FieldMask(paths=paths)


CASES: list[tuple[Message, list[str]]] = [
    (
        pb.CreateAppointmentRequest(),
        ["organization_id", "barber_id", "service_id", "start_time"],
    ),
    (pb.CreateAppointmentRequest(**BOOK | {"organization_id": -1}), ["organization_id"]),
    (pb.CreateAppointmentRequest(**BOOK | {"start_time": ODD}), ["start_time"]),
    (pb.CreateAppointmentRequest(**BOOK, client_id=-2), ["client_id"]),
    (pb.CreateAppointmentRequest(**BOOK, status=5), ["status"]),
    (pb.CreateAppointmentRequest(**BOOK, status=99), ["status"]),
    (pb.CreateAppointmentRequest(**BOOK, hold_until=NOON), ["hold_until"]),
    (pb.CreateAppointmentRequest(**BOOK, notes="x" * 2001), ["notes"]),
    (pb.CreateAppointmentRequest(**BOOK, notes="a\0b", request_id="x"), ["notes", "request_id"]),
    (
        pb.CreateAppointmentRequest(**BOOK | {"start_time": Timestamp(seconds=10**12)}),
        ["start_time"],
    ),
    (
        pb.CreateAppointmentRequest(**BOOK | {"start_time": Timestamp(nanos=-1)}),
        ["start_time"],
    ),
    (
        pb.UpdateAppointmentRequest(),
        ["update_mask", "organization_id", "appointment.appointment_id"],
    ),
    (
        pb.UpdateAppointmentRequest(
            organization_id=1,
            appointment=types.Appointment(appointment_id=1),
            update_mask=mask("status", "price", "hold_until"),
            etag="x" * 41,
        ),
        ["update_mask", "appointment.price", "appointment.hold_until", "etag"],
    ),
    (
        pb.UpdateAppointmentRequest(
            organization_id=1,
            appointment=types.Appointment(appointment_id=1, price=cad(-1), client_id=-1),
            update_mask=mask("price", "client_id"),
        ),
        ["appointment.client_id", "appointment.price"],
    ),
    (pb.RescheduleAppointmentRequest(**ONE), ["start_time"]),
    (
        pb.RescheduleAppointmentRequest(start_time=ODD, barber_id=-1, service_id=-1),
        ["organization_id", "appointment_id", "start_time", "barber_id", "service_id"],
    ),
    (pb.ConfirmAppointmentRequest(), ["organization_id", "appointment_id"]),
    (pb.StartAppointmentRequest(organization_id=1), ["appointment_id"]),
    (pb.CompleteAppointmentRequest(**ONE, request_id="1"), ["request_id"]),
    (pb.CancelAppointmentRequest(**ONE, reason="x" * 501), ["reason"]),
    (pb.MarkNoShowRequest(**ONE, etag="a\nb"), ["etag"]),
    (pb.GetAppointmentRequest(), ["organization_id", "appointment_id"]),
    (pb.ConfirmPaymentRequest(), ["organization_id", "barber_id", "amount"]),
    (pb.ConfirmPaymentRequest(**ONE, amount=cad(0)), ["amount"]),
    (pb.ConfirmPaymentRequest(**ONE, amount=Money(units=1, nanos=1)), ["amount.nanos"]),
    (pb.ConfirmPaymentRequest(**ONE, amount=Money(units=1, nanos=-(10**7))), ["amount.nanos"]),
    (pb.ConfirmPaymentRequest(**ONE, amount=cad(10**10)), ["amount"]),
    (
        pb.ConfirmPaymentRequest(
            **ONE, amount=Money(units=1, currency_code="cad"), method="x" * 51
        ),
        ["amount.currency_code", "method"],
    ),
    (pb.RefundPaymentRequest(reason="x" * 501), ["organization_id", "payment_id", "reason"]),
    (pb.CreateServiceRequest(), ["organization_id", "name", "duration"]),
    (
        pb.CreateServiceRequest(
            organization_id=1,
            name="x" * 201,
            category="x" * 101,
            duration=DAY_AND_MORE,
            buffer_before=Duration(seconds=30),
            buffer_after=Duration(seconds=121 * 60),
            price=cad(-1),
        ),
        ["name", "category", "duration", "buffer_before", "buffer_after", "price"],
    ),
    (
        pb.UpdateServiceRequest(update_mask=mask("name", "duration", "deleted")),
        [
            "organization_id",
            "service.service_id",
            "update_mask",
            "service.name",
            "service.duration",
        ],
    ),
    (pb.DeleteServiceRequest(), ["organization_id", "service_id"]),
    (
        pb.CreateClientRequest(email="x" * 321, phone="x" * 51, notes="x" * 2001),
        ["organization_id", "name", "email", "phone", "notes"],
    ),
    (
        pb.UpdateClientRequest(organization_id=1, update_mask=mask("etag")),
        ["client.client_id", "update_mask"],
    ),
    (pb.DeleteClientRequest(organization_id=-5), ["organization_id", "client_id"]),
    (pb.CreateBarberRequest(name=" "), ["organization_id", "name"]),
    (
        pb.UpdateBarberRequest(organization_id=1, update_mask=mask("name")),
        ["barber.barber_id", "barber.name"],
    ),
    (
        pb.SetBarberServiceRequest(price=cad(-1), duration=Duration()),
        ["price", "duration", "organization_id", "barber_id", "service_id"],
    ),
    (
        pb.SetWeeklyHoursRequest(
            **WHO,
            valid_from=Date(year=2025, month=2, day=30),
            weekdays=[
                types.WeekdayHours(weekday=7),
                types.WeekdayHours(weekday=1, periods=[period(9, 12), period(11, 13)]),
                types.WeekdayHours(weekday=1, periods=[period(12, 9)]),
                types.WeekdayHours(weekday=2, periods=[period(0, 25)]),
            ],
        ),
        [
            "valid_from",
            "weekdays[0].weekday",
            "weekdays[1].periods",
            "weekdays[2].weekday",
            "weekdays[2].periods[0].closes",
            "weekdays[3].periods[0].closes",
        ],
    ),
    (pb.SetWeeklyHoursRequest(), ["organization_id", "barber_id"]),
    (pb.AddTimeOffRequest(), ["organization_id", "barber_id", "start_time", "end_time"]),
    (pb.AddTimeOffRequest(**WHO, start_time=NOON, end_time=NOON), ["end_time"]),
    (
        pb.AddTimeOffRequest(
            **WHO, start_time=NOON, end_time=stamp(MONDAY + 367 * 24 * HOUR), reason="x" * 501
        ),
        ["end_time", "reason"],
    ),
    (pb.RemoveTimeOffRequest(), ["organization_id", "time_off_id"]),
    (pb.SetSpecialHoursRequest(), ["organization_id", "barber_id", "date"]),
    (
        pb.SetSpecialHoursRequest(
            **WHO, date=Date(year=1800, month=1, day=1), remove=True, periods=[period(9, 10)]
        ),
        ["date", "periods"],
    ),
    (pb.CreateOrganizationRequest(), ["name", "time_zone", "currency"]),
    (
        pb.CreateOrganizationRequest(
            name="x",
            time_zone="Mars/Base",
            currency="cad",
            slot_interval=Duration(seconds=1),
            lead_time=Duration(seconds=31 * 24 * 3600),
            horizon_days=731,
        ),
        ["time_zone", "currency", "slot_interval", "lead_time", "horizon_days"],
    ),
    (
        pb.UpdateOrganizationRequest(
            organization=pb.Organization(horizon_days=-1), update_mask=mask("name", "horizon_days")
        ),
        [
            "organization.organization_id",
            "organization.name",
            "organization.horizon_days",
        ],
    ),
    (
        pb.GetDashboardRequest(barber_id=-1, target_annual_income=-5.0, as_of_date=Date(year=2025)),
        ["organization_id", "barber_id", "as_of_date", "target_annual_income"],
    ),
    (
        pb.GetDashboardRequest(organization_id=1, target_annual_income=float("nan")),
        ["target_annual_income"],
    ),
    (
        pb.GetDashboardRequest(organization_id=1, target_annual_income=0.0),
        ["target_annual_income"],
    ),
]


@pytest.mark.parametrize(
    ("request_", "fields"),
    CASES,
    ids=[f"{number}-{type(request).__name__}" for number, (request, _) in enumerate(CASES)],
)
async def test_a_wrong_request_names_every_wrong_field(
    bare_house: House, request_: Any, fields: list[str]
) -> None:
    """INVALID_ARGUMENT with exactly the wrong fields, and not a row written."""
    method = type(request_).__name__.removesuffix("Request")
    failed = await failure(getattr(bare_house.stub, method)(request_))
    assert (failed.code, failed.reason) == ("INVALID_ARGUMENT", "INVALID_ARGUMENT")
    assert failed.fields == fields
    assert await bare_house.sql("SELECT 1 FROM outbox") == []
    assert bare_house.cache.told == []
