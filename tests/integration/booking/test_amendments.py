"""Changes of an appointment that do not move it."""

from google.protobuf.field_mask_pb2 import FieldMask

from chairside.booking.v1 import booking_service_pb2 as pb
from chairside.cache.v1 import types_pb2 as types
from tests.integration.booking.house import HOUR, MONDAY, Shop, cad, stamp
from tests.support.failures import failure

TEN = MONDAY + 2 * HOUR


async def test_an_update_changes_what_its_mask_names(shop: Shop) -> None:
    """Only the masked fields change, and the etag with them."""
    made = await shop.book(TEN)
    new = types.Appointment(
        appointment_id=made.appointment_id, notes="moved\nin", price=cad(35), client_id=0
    )
    response = await shop.house.stub.UpdateAppointment(
        pb.UpdateAppointmentRequest(
            organization_id=shop.id,
            appointment=new,
            update_mask=FieldMask(paths=["notes", "price"]),
            etag="1",
        )
    )
    assert response.appointment.notes == "moved\nin"
    assert response.appointment.price == cad(35)
    assert response.appointment.client_id == shop.client
    assert response.appointment.etag == "2"
    old = await failure(
        shop.house.stub.UpdateAppointment(
            pb.UpdateAppointmentRequest(
                organization_id=shop.id,
                appointment=new,
                update_mask=FieldMask(paths=["client_id"]),
                etag="1",
            )
        )
    )
    assert (old.code, old.reason) == ("ABORTED", "ETAG_MISMATCH")
    assert old.metadata["etag"] == "2"


async def test_a_cancelled_appointment_does_not_change(shop: Shop) -> None:
    """UpdateAppointment of a cancelled one is INVALID_TRANSITION, as is a hold of a firm one."""
    made = await shop.book(TEN)
    appointment_id = made.appointment_id
    await shop.house.stub.CancelAppointment(
        pb.CancelAppointmentRequest(organization_id=shop.id, appointment_id=appointment_id)
    )
    request = pb.UpdateAppointmentRequest(
        organization_id=shop.id,
        appointment=types.Appointment(appointment_id=appointment_id, notes="x"),
        update_mask=FieldMask(paths=["notes"]),
    )
    failed = await failure(shop.house.stub.UpdateAppointment(request))
    assert failed.reason == "INVALID_TRANSITION"
    firm = await shop.book(TEN + HOUR)
    request.appointment.appointment_id = firm.appointment_id
    request.appointment.hold_until.CopyFrom(stamp(TEN))
    request.update_mask.paths[:] = ["hold_until"]
    failed = await failure(shop.house.stub.UpdateAppointment(request))
    assert failed.reason == "INVALID_TRANSITION"
