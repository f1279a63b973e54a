"""The contract's services and methods, for tests of all of them."""

from chairside.booking.v1 import booking_service_pb2
from chairside.cache.v1 import cache_service_pb2

__all__ = ["BOOKING", "CACHE", "METHODS"]

BOOKING = booking_service_pb2.DESCRIPTOR.services_by_name["BookingService"]
CACHE = cache_service_pb2.DESCRIPTOR.services_by_name["CacheService"]
METHODS = [*BOOKING.methods, *CACHE.methods]
