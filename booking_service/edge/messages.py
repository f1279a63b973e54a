"""Records as the messages that stand for them."""

from collections.abc import Iterable
from decimal import Decimal

from booking_service.domain.statuses import Status
from booking_service.use_cases import records
from chairside.booking.v1 import booking_service_pb2 as booking
from chairside.cache.v1 import types_pb2 as types
from service_kit.values import to_date, to_duration_minutes, to_money, to_periods, to_timestamp

__all__ = [
    "STATUSES",
    "appointment",
    "barber",
    "barber_service",
    "client",
    "organization",
    "payment",
    "refund",
    "service",
    "special_hours",
    "time_off",
    "weekly_hours",
]

STATUSES: dict[Status, types.AppointmentStatus.ValueType] = {
    Status.PENDING: types.APPOINTMENT_STATUS_PENDING,
    Status.SCHEDULED: types.APPOINTMENT_STATUS_SCHEDULED,
    Status.CONFIRMED: types.APPOINTMENT_STATUS_CONFIRMED,
    Status.IN_PROGRESS: types.APPOINTMENT_STATUS_IN_PROGRESS,
    Status.COMPLETED: types.APPOINTMENT_STATUS_COMPLETED,
    Status.CANCELLED: types.APPOINTMENT_STATUS_CANCELLED,
    Status.NO_SHOW: types.APPOINTMENT_STATUS_NO_SHOW,
}


def appointment(record: records.Appointment) -> types.Appointment:
    """Make an Appointment."""
    return types.Appointment(
        appointment_id=record.id,
        organization_id=record.organization_id,
        barber_id=record.barber_id,
        service_id=record.service_id,
        client_id=record.client_id or 0,
        status=STATUSES[Status(record.status)],
        start_time=to_timestamp(record.starts_at),
        end_time=to_timestamp(record.ends_at),
        price=to_money(record.price, record.currency),
        hold_until=None if record.hold_until is None else to_timestamp(record.hold_until),
        notes=record.notes,
        cancellation_reason=record.cancellation_reason,
        etag=str(record.version),
    )


def payment(record: records.Payment) -> booking.Payment:
    """Make a Payment of which nothing was given back yet."""
    return booking.Payment(
        payment_id=record.id,
        organization_id=record.organization_id,
        appointment_id=record.appointment_id or 0,
        barber_id=record.barber_id,
        client_id=record.client_id or 0,
        amount=to_money(record.amount, record.currency),
        paid_at=to_timestamp(record.paid_at),
        method=record.method,
        refunded=to_money(Decimal(0), record.currency),
    )


def refund(record: records.Refund) -> booking.Refund:
    """Make a Refund."""
    return booking.Refund(
        refund_id=record.id,
        organization_id=record.organization_id,
        payment_id=record.payment_id,
        appointment_id=record.appointment_id or 0,
        barber_id=record.barber_id,
        client_id=record.client_id or 0,
        amount=to_money(record.amount, record.currency),
        refunded_at=to_timestamp(record.refunded_at),
        reason=record.reason,
    )


def service(record: records.Service) -> types.Service:
    """Make a Service."""
    return types.Service(
        service_id=record.id,
        organization_id=record.organization_id,
        name=record.name,
        category=record.category,
        duration=to_duration_minutes(record.duration_minutes),
        buffer_before=to_duration_minutes(record.buffer_before_minutes),
        buffer_after=to_duration_minutes(record.buffer_after_minutes),
        price=to_money(record.price, record.currency),
        etag=str(record.version),
        deleted=record.deleted,
    )


def client(record: records.Client) -> types.Client:
    """Make a Client."""
    return types.Client(
        client_id=record.id,
        organization_id=record.organization_id,
        name=record.name,
        email=record.email,
        phone=record.phone,
        notes=record.notes,
        etag=str(record.version),
        deleted=record.deleted,
    )


def barber(record: records.Barber, offers: Iterable[records.BarberService]) -> types.Barber:
    """Make a Barber with what the barber offers."""
    return types.Barber(
        barber_id=record.id,
        organization_id=record.organization_id,
        name=record.name,
        active=record.active,
        etag=str(record.version),
        services=map(barber_service, offers),
    )


def barber_service(record: records.BarberService) -> types.BarberService:
    """Make a BarberService; what is the service's own stays unset."""
    minutes = record.duration_minutes
    return types.BarberService(
        barber_id=record.barber_id,
        service_id=record.service_id,
        offered=record.offered,
        price=None if record.price is None else to_money(record.price, record.currency),
        duration=None if minutes is None else to_duration_minutes(minutes),
    )


def weekly_hours(record: records.WeeklyHours) -> types.WeeklyHours:
    """Make a week of seven days."""
    return types.WeeklyHours(
        valid_from=to_date(record.valid_from),
        weekdays=[
            types.WeekdayHours(weekday=weekday, periods=to_periods(periods))
            for weekday, periods in enumerate(record.weekdays)
        ],
    )


def special_hours(record: records.SpecialHours) -> types.SpecialHours:
    """Make the hours of one local day."""
    return types.SpecialHours(
        barber_id=record.barber_id, date=to_date(record.day), periods=to_periods(record.periods)
    )


def time_off(record: records.TimeOff) -> types.TimeOff:
    """Make a time off."""
    return types.TimeOff(
        time_off_id=record.id,
        barber_id=record.barber_id,
        start_time=to_timestamp(record.starts_at),
        end_time=to_timestamp(record.ends_at),
        reason=record.reason,
    )


def organization(record: records.Organization) -> booking.Organization:
    """Make an Organization."""
    return booking.Organization(
        organization_id=record.id,
        name=record.name,
        time_zone=record.time_zone,
        currency=record.currency,
        slot_interval=to_duration_minutes(record.slot_interval_minutes),
        lead_time=to_duration_minutes(record.lead_time_minutes),
        horizon_days=record.horizon_days,
        etag=str(record.version),
    )
