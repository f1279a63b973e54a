"""Which right each method takes."""

from chairside.booking.v1 import booking_service_pb2
from service_kit.callers import Right

__all__ = ["RIGHTS"]

_OTHERS = {
    "GetAppointment": Right.READ,
    "SearchAvailability": Right.READ,
    "GetDashboard": Right.READ,
    "CreateOrganization": Right.OPERATE,
}

RIGHTS = {
    method.name: _OTHERS.get(method.name, Right.MUTATE)
    for method in booking_service_pb2.DESCRIPTOR.services_by_name["BookingService"].methods
}
"""By method; what is not said to be less is a mutation."""
