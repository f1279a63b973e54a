"""Services, clients, barbers, hours and the shop itself."""

from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from chairside.booking.v1 import booking_service_pb2 as pb
from chairside.cache.v1 import types_pb2 as types
from tests.integration.booking.house import (
    HOUR,
    MONDAY,
    Shop,
    cad,
    day,
    every_day,
    open_shop,
    period,
    stamp,
)
from tests.support.failures import failure

TEN = MONDAY + 2 * HOUR


async def test_a_service_is_changed_and_deleted(shop: Shop) -> None:
    """A change keeps what is not masked; a deleted service is not known any more."""
    stub = shop.house.stub
    request = pb.UpdateServiceRequest(
        organization_id=shop.id,
        service=types.Service(service_id=shop.service, name="Long cut", price=cad(45)),
        update_mask=FieldMask(paths=["name", "price"]),
        etag="1",
    )
    service = (await stub.UpdateService(request)).service
    assert (service.name, service.price, service.etag) == ("Long cut", cad(45), "2")
    assert service.duration.seconds == 1800
    assert (await failure(stub.UpdateService(request))).reason == "ETAG_MISMATCH"
    delete = pb.DeleteServiceRequest(organization_id=shop.id, service_id=shop.service)
    assert (await stub.DeleteService(delete)).service.deleted
    assert (await failure(stub.DeleteService(delete))).resource == "service"
    gone = await failure(stub.CreateAppointment(shop.request(TEN)))
    assert (gone.code, gone.resource) == ("NOT_FOUND", "service")


async def test_prices_are_in_the_shops_currency(shop: Shop) -> None:
    """A price in other money is CURRENCY_MISMATCH; without a currency it is the shop's."""
    request = pb.CreateServiceRequest(
        organization_id=shop.id, name="Shave", duration={"seconds": 60}, price={"units": 5}
    )
    service = (await shop.house.stub.CreateService(request)).service
    assert service.price == cad(5)
    request.price.currency_code = "USD"
    assert (await failure(shop.house.stub.CreateService(request))).reason == "CURRENCY_MISMATCH"


async def test_a_deleted_client_is_forgotten(shop: Shop) -> None:
    """Name, address, number and notes are gone, and nobody books for that client."""
    stub = shop.house.stub
    changed = await stub.UpdateClient(
        pb.UpdateClientRequest(
            organization_id=shop.id,
            client=types.Client(client_id=shop.client, phone="+1 416 555 0100"),
            update_mask=FieldMask(paths=["phone"]),
        )
    )
    assert (changed.client.name, changed.client.phone) == ("Ann", "+1 416 555 0100")
    made = await shop.book(TEN)
    delete = pb.DeleteClientRequest(organization_id=shop.id, client_id=shop.client)
    client = (await stub.DeleteClient(delete)).client
    assert client.deleted
    assert (client.name, client.email, client.phone) == ("", "", "")
    gone = await failure(stub.CreateAppointment(shop.request(TEN + HOUR)))
    assert (gone.code, gone.reason) == ("NOT_FOUND", "CLIENT_NOT_FOUND")
    got = await stub.GetAppointment(
        pb.GetAppointmentRequest(organization_id=shop.id, appointment_id=made.appointment_id)
    )
    assert got.appointment.client_id == shop.client


async def test_a_barber_is_changed_and_shows_the_offer(shop: Shop) -> None:
    """UpdateBarber answers with what the barber offers."""
    response = await shop.house.stub.UpdateBarber(
        pb.UpdateBarberRequest(
            organization_id=shop.id,
            barber=types.Barber(barber_id=shop.barbers[0], name="Bea"),
            update_mask=FieldMask(paths=["name"]),
        )
    )
    assert (response.barber.name, response.barber.active) == ("Bea", True)
    assert [offer.service_id for offer in response.barber.services] == [shop.service]


async def test_a_later_week_holds_from_its_day_on(shop: Shop) -> None:
    """A week set for later leaves the days before it alone; touching periods are one."""
    stub = shop.house.stub
    week = types.WeekdayHours(weekday=1, periods=[period(9, 12), period(12, 14)])
    response = await stub.SetWeeklyHours(
        pb.SetWeeklyHoursRequest(
            organization_id=shop.id,
            barber_id=shop.barbers[0],
            valid_from=day(2025, 6, 9),
            weekdays=[week],
        )
    )
    assert [len(each.periods) for each in response.weekly_hours.weekdays] == [0, 1, 0, 0, 0, 0, 0]
    assert response.weekly_hours.weekdays[1].periods[0] == period(9, 14)
    assert await shop.book(TEN)  # Monday the 2nd
    late = await failure(stub.CreateAppointment(shop.request(TEN + 7 * 24 * HOUR)))
    assert late.reason == "OUTSIDE_HOURS"  # Monday the 9th
    assert await shop.book(TEN + 8 * 24 * HOUR)  # Tuesday the 10th


async def test_a_week_without_a_day_holds_from_today_in_the_shop(shop: Shop) -> None:
    """At 23:00 local of the 1st the shop's today is the 1st, though UTC has the 2nd."""
    shop.house.clock.time = MONDAY - 9 * HOUR
    response = await shop.house.stub.SetWeeklyHours(
        pb.SetWeeklyHoursRequest(
            organization_id=shop.id, barber_id=shop.barbers[0], weekdays=every_day(9, 12)
        )
    )
    assert response.weekly_hours.valid_from == day(2025, 6, 1)


async def test_time_off_is_taken_and_given_back(shop: Shop) -> None:
    """Time off closes open time until it is removed; twice removed is NOT_FOUND."""
    stub = shop.house.stub
    off = await stub.AddTimeOff(
        pb.AddTimeOffRequest(
            organization_id=shop.id,
            barber_id=shop.barbers[0],
            start_time=stamp(TEN),
            end_time=stamp(TEN + HOUR),
            reason="dentist",
        )
    )
    refused = await failure(stub.CreateAppointment(shop.request(TEN + HOUR / 2)))
    assert refused.reason == "OUTSIDE_HOURS"
    remove = pb.RemoveTimeOffRequest(organization_id=shop.id, time_off_id=off.time_off.time_off_id)
    assert (await stub.RemoveTimeOff(remove)).time_off == off.time_off
    assert await shop.book(TEN + HOUR / 2)
    assert (await failure(stub.RemoveTimeOff(remove))).resource == "time_off"


async def test_special_hours_replace_a_day_until_removed(shop: Shop) -> None:
    """A closed day, a longer one, and the weekly hours back."""
    stub = shop.house.stub
    request = pb.SetSpecialHoursRequest(
        organization_id=shop.id, barber_id=shop.barbers[0], date=day(2025, 6, 2)
    )
    closed = (await stub.SetSpecialHours(request)).special_hours
    assert (closed.date, len(closed.periods)) == (day(2025, 6, 2), 0)
    assert (await failure(stub.CreateAppointment(shop.request(TEN)))).reason == "OUTSIDE_HOURS"
    request.periods.append(period(20, 24))
    await stub.SetSpecialHours(request)
    assert await shop.book(MONDAY + 15.5 * HOUR)  # 23:30 local, the next day in UTC
    del request.periods[:]
    request.remove = True
    removed = (await stub.SetSpecialHours(request)).special_hours
    assert list(removed.periods) == [period(20, 24)]
    assert await shop.book(TEN)
    assert (await failure(stub.SetSpecialHours(request))).resource == "special_hours"


async def test_an_organization_is_changed(shop: Shop) -> None:
    """Settings change by mask, count for the next booking, and unset ones are the defaults."""
    stub = shop.house.stub
    request = pb.UpdateOrganizationRequest(
        organization=pb.Organization(
            organization_id=shop.id, lead_time={"seconds": 3 * 3600}, horizon_days=1
        ),
        update_mask=FieldMask(paths=["lead_time", "horizon_days", "slot_interval"]),
        etag="1",
    )
    changed = (await stub.UpdateOrganization(request)).organization
    assert changed.lead_time.seconds == 3 * 3600
    assert changed.slot_interval.seconds == 900
    assert (changed.name, changed.etag) == ("Shop", "2")
    assert (await failure(stub.CreateAppointment(shop.request(TEN)))).reason == "LEAD_TIME"
    far = shop.request(TEN + 48 * HOUR)
    assert (await failure(stub.CreateAppointment(far))).reason == "BEYOND_HORIZON"
    assert (await failure(stub.UpdateOrganization(request))).reason == "ETAG_MISMATCH"


@pytest.mark.parametrize("priced", [True, False])
async def test_a_currency_in_use_stays(shop: Shop, *, priced: bool) -> None:
    """A shop with prices keeps its currency; one without may change it."""
    stub = shop.house.stub
    if not priced:
        await shop.house.sql("UPDATE services SET price = 0")
    request = pb.UpdateOrganizationRequest(
        organization=pb.Organization(organization_id=shop.id, currency="EUR"),
        update_mask=FieldMask(paths=["currency"]),
    )
    if priced:
        assert (await failure(stub.UpdateOrganization(request))).reason == "CURRENCY_IN_USE"
    else:
        assert (await stub.UpdateOrganization(request)).organization.currency == "EUR"


def _requests(shop: Shop, other: dict[str, Any]) -> list[tuple[str, Any, str]]:
    """Each method with one id of another organization, and the resource it cannot know."""
    org, barber = shop.id, shop.barbers[0]
    known = {"organization_id": org, "appointment_id": other["appointment"]}
    moves = ("Confirm", "Start", "Complete", "Cancel", "Get")
    week = every_day(9, 17)
    return [
        ("CreateAppointment", shop.request(TEN, barber_id=other["barber"]), "barber"),
        ("CreateAppointment", shop.request(TEN, service_id=other["service"]), "service"),
        ("CreateAppointment", shop.request(TEN, client_id=other["client"]), "client"),
        ("CreateAppointment", shop.request(TEN, organization_id=999), "organization"),
        *(
            (f"{move}Appointment", getattr(pb, f"{move}AppointmentRequest")(**known), "appointment")
            for move in moves
        ),
        ("MarkNoShow", pb.MarkNoShowRequest(**known), "appointment"),
        (
            "RescheduleAppointment",
            pb.RescheduleAppointmentRequest(**known, start_time=stamp(TEN)),
            "appointment",
        ),
        ("ConfirmPayment", pb.ConfirmPaymentRequest(**known, amount=cad(1)), "appointment"),
        (
            "RefundPayment",
            pb.RefundPaymentRequest(organization_id=org, payment_id=other["payment"]),
            "payment",
        ),
        (
            "DeleteService",
            pb.DeleteServiceRequest(organization_id=org, service_id=other["service"]),
            "service",
        ),
        (
            "DeleteClient",
            pb.DeleteClientRequest(organization_id=org, client_id=other["client"]),
            "client",
        ),
        (
            "UpdateBarber",
            pb.UpdateBarberRequest(
                organization_id=org,
                barber=types.Barber(barber_id=other["barber"], name="X"),
                update_mask=FieldMask(paths=["name"]),
            ),
            "barber",
        ),
        (
            "SetBarberService",
            pb.SetBarberServiceRequest(
                organization_id=org, barber_id=barber, service_id=other["service"]
            ),
            "service",
        ),
        (
            "SetWeeklyHours",
            pb.SetWeeklyHoursRequest(organization_id=org, barber_id=other["barber"], weekdays=week),
            "barber",
        ),
        ("CreateBarber", pb.CreateBarberRequest(organization_id=999, name="X"), "organization"),
        (
            "GetAppointment",
            pb.GetAppointmentRequest(organization_id=999, appointment_id=other["appointment"]),
            "organization",
        ),
    ]


async def test_ids_of_another_organization_are_not_known(shop: Shop) -> None:
    """An id of another shop is NOT_FOUND exactly as an unknown one, and nothing changes."""
    neighbour = await open_shop(shop.house, barbers=1)
    made = await neighbour.book(TEN)
    payment = await neighbour.pay(made.appointment_id, 40)
    other = {
        "appointment": made.appointment_id,
        "barber": neighbour.barbers[0],
        "service": neighbour.service,
        "client": neighbour.client,
        "payment": payment.payment_id,
    }
    before = await shop.house.sql("SELECT max(id), count(*) FROM outbox")
    for method, request, resource in _requests(shop, other):
        failed = await failure(getattr(shop.house.stub, method)(request))
        assert (failed.code, failed.resource) == ("NOT_FOUND", resource), method
        assert failed.reason == f"{resource.upper()}_NOT_FOUND"
    assert await shop.house.sql("SELECT max(id), count(*) FROM outbox") == before
