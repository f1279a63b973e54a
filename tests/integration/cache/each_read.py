"""One request of each read, over a shop: the one place to add that of a new one."""

from datetime import date, timedelta
from typing import Any

from chairside.cache.v1 import analytics_pb2
from service_kit.values import to_date
from tests.integration.cache.shops import Shop

__all__ = ["each_read"]

_MONDAY = date(2025, 3, 10)


def each_read(shop: Shop, client_id: int) -> dict[str, dict[str, Any]]:
    """Give a request of each read, by its field of ExplainRequest and BatchRead."""
    days = {"start_date": to_date(_MONDAY), "end_date": to_date(_MONDAY + timedelta(days=3))}
    organization = {"organization_id": shop.organization_id}
    barber = organization | {"barber_id": shop.barbers[0]}
    return {
        "get_availability": organization | {"service_id": shop.services[0]},
        "get_analytics": organization | days | {"revenue": analytics_pb2.RevenueOptions()},
        "get_schedule": barber,
        "get_booked_slots": barber,
        "get_user_data": organization | {"client_id": client_id},
        "list_appointments": organization,
        "list_clients": organization | {"query": "a: strange, text"},
        "list_services": organization,
        "list_barbers": organization,
    }
