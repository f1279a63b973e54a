"""All methods of BookingService in one object."""

from booking_service.edge.appointments import Appointments
from booking_service.edge.barbers import Barbers
from booking_service.edge.catalogue import Catalogue
from booking_service.edge.organizations import Organizations
from booking_service.edge.payments import Payments
from booking_service.edge.reads import CacheReader, Reading
from booking_service.edge.schedules import Schedules
from booking_service.edge.statuses import Statuses
from booking_service.use_cases.mutations import Mutations
from booking_service.use_cases.reading import Reads

__all__ = ["BookingServicer"]


class BookingServicer(
    Appointments, Statuses, Payments, Catalogue, Barbers, Schedules, Organizations, Reading
):
    """Serve every method; `service_kit.rpc.register` finds them by their names."""

    def __init__(self, mutations: Mutations, reads: Reads, cache: CacheReader) -> None:
        Appointments.__init__(self, mutations, cache.saw)
        Reading.__init__(self, reads, cache)
