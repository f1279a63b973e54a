"""What a caller sees of the database's troubles."""

from dataclasses import replace

from chairside.booking.v1 import booking_service_pb2 as pb
from tests.integration.booking.house import HOUR, MONDAY, Shop, open_house, request_id
from tests.support.failures import failure
from tests.support.stack import Database

TEN = MONDAY + 2 * HOUR


async def fail_bookings(shop: Shop, sqlstate: str, times: int) -> None:
    """Let the next `times` inserts of an appointment fail; a sequence survives rollbacks."""
    await shop.house.sql("CREATE SEQUENCE tries")
    await shop.house.sql("GRANT ALL ON SEQUENCE tries TO PUBLIC")
    await shop.house.sql(
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" IF nextval('tries') <= {times} THEN"
        f" RAISE EXCEPTION 'secret innards' USING ERRCODE = '{sqlstate}';"
        " END IF; RETURN NEW; END $$"
    )
    await shop.house.sql(
        "CREATE TRIGGER fail BEFORE INSERT ON appointments FOR EACH ROW EXECUTE FUNCTION fail()"
    )


async def test_three_retries_hide_a_contention(shop: Shop) -> None:
    """A deadlock or serialisation failure is retried three times, and booked once."""
    await fail_bookings(shop, "40P01", 3)
    made = await shop.book(TEN, request_id=request_id())
    assert made.appointment_id
    assert len(await shop.house.sql("SELECT 1 FROM appointments")) == 1
    assert len(shop.house.cache.told) == 1


async def test_a_fourth_failure_is_aborted(shop: Shop) -> None:
    """More than three retries answer ABORTED CONTENTION, with a time to retry after."""
    await fail_bookings(shop, "40001", 4)
    failed = await failure(shop.house.stub.CreateAppointment(shop.request(TEN)))
    assert (failed.code, failed.reason, failed.retry) == ("ABORTED", "CONTENTION", True)
    assert failed.metadata["token"]
    assert await shop.house.sql("SELECT 1 FROM appointments") == []


async def test_an_unexpected_error_does_not_cross_the_wire(shop: Shop) -> None:
    """What nobody expected is INTERNAL without its text, and nothing is stored."""
    await fail_bookings(shop, "22012", 1)
    failed = await failure(
        shop.house.stub.CreateAppointment(shop.request(TEN, request_id=request_id()))
    )
    assert (failed.code, failed.reason) == ("INTERNAL", "INTERNAL")
    assert "innards" not in str(failed)
    assert await shop.house.sql("SELECT 1 FROM request_ids") == []


async def test_a_database_away_is_unavailable(database: Database) -> None:
    """Reads and mutations are UNAVAILABLE with a time to retry after."""
    away = replace(database, booking_url="postgresql://nobody:x@127.0.0.1:1/none")
    async with open_house(away) as house:
        reading = house.stub.GetAppointment(
            pb.GetAppointmentRequest(organization_id=1, appointment_id=1)
        )
        writing = house.stub.CreateBarber(pb.CreateBarberRequest(organization_id=1, name="X"))
        for call in (reading, writing):
            failed = await failure(call)
            assert (failed.code, failed.reason) == ("UNAVAILABLE", "DATABASE_UNAVAILABLE")
            assert failed.retry
