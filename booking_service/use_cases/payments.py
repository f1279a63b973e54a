"""Take money and give it back."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import func, insert, select

from booking_service.domain.statuses import CANCELLABLE, Status
from booking_service.postgres import tables
from booking_service.use_cases import lookups
from booking_service.use_cases.records import (
    Appointment,
    Organization,
    Payment,
    Refund,
    maybe,
    only,
    shape,
)
from booking_service.use_cases.statuses import refuse_move, set_status
from booking_service.use_cases.transaction import Transaction
from service_kit.errors import FailedPrecondition, InvalidArgument, NotFound, Violation

__all__ = ["NewPayment", "NewRefund", "confirm_payment", "refund_payment"]


@dataclass(frozen=True, slots=True)
class NewPayment:
    """Money taken; barber and client None: the appointment's; paid_at None: now."""

    organization_id: int
    appointment_id: int | None
    barber_id: int | None
    client_id: int | None
    amount: Decimal
    currency: str
    method: str
    paid_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewRefund:
    """Money to give back; amount None: all that is left of the payment."""

    organization_id: int
    payment_id: int
    amount: Decimal | None
    currency: str
    reason: str


async def confirm_payment(tx: Transaction, wanted: NewPayment) -> Payment:
    """Record a completed payment for an appointment or, without one, a retail sale."""
    shop = await lookups.organization(tx, wanted.organization_id)
    lookups.check_currency(shop, wanted.currency)
    paid_at = wanted.paid_at or tx.now
    if paid_at > tx.now:
        raise InvalidArgument([Violation("paid_at", "must not be in the future")])
    barber_id, client_id = wanted.barber_id, wanted.client_id
    if barber_id is not None:
        await lookups.barber(tx, shop, barber_id)
    if client_id is not None:
        await lookups.client(tx, shop, client_id)
    if wanted.appointment_id is not None:
        appointment = await _paid_for(tx, shop, wanted.appointment_id)
        barber_id = barber_id or appointment.barber_id
        client_id = client_id or appointment.client_id
    if barber_id is None:
        raise InvalidArgument([Violation("barber_id", "is required for a retail sale")])
    return await only(
        tx.connection,
        insert(tables.payments)
        .values(
            organization_id=shop.id,
            appointment_id=wanted.appointment_id,
            barber_id=barber_id,
            client_id=client_id,
            amount=wanted.amount,
            status="completed",
            method=wanted.method,
            paid_at=paid_at,
            created_at=tx.now,
        )
        .returning(*shape(tables.payments, Payment, currency=shop.currency)),
        Payment,
    )


async def refund_payment(tx: Transaction, wanted: NewRefund) -> tuple[Refund, Appointment | None]:
    """Give money back, never more than is left; answer with the appointment it cancelled.

    A refund of all that is left cancels an appointment that has not begun.
    """
    shop = await lookups.organization(tx, wanted.organization_id)
    lookups.check_currency(shop, wanted.currency)
    payment, appointment = await _payment_to_refund(tx, shop, wanted.payment_id)
    left = payment.amount - await _given_back(tx, payment.id)
    amount = left if wanted.amount is None else wanted.amount
    if amount > left or left <= 0:
        reason = "REFUND_EXCEEDS_PAYMENT"
        message = f"of the payment {left} {shop.currency} are left to give back"
        raise FailedPrecondition(
            reason, message, subject=f"payments/{payment.id}", payment_id=payment.id, left=left
        )
    refund = await only(
        tx.connection,
        insert(tables.refunds)
        .values(
            organization_id=shop.id,
            payment_id=payment.id,
            appointment_id=payment.appointment_id,
            barber_id=payment.barber_id,
            client_id=payment.client_id,
            amount=amount,
            reason=wanted.reason,
            refunded_at=tx.now,
            created_at=tx.now,
        )
        .returning(*shape(tables.refunds, Refund, currency=shop.currency)),
        Refund,
    )
    cancelled = None
    if amount == left and appointment is not None and _is_to_come(tx, appointment):
        cancelled = await set_status(
            tx, shop, appointment, Status.CANCELLED, wanted.reason or "refunded"
        )
    return refund, cancelled


def _is_to_come(tx: Transaction, appointment: Appointment) -> bool:
    return Status(appointment.status) in CANCELLABLE and appointment.starts_at > tx.now


async def _paid_for(tx: Transaction, shop: Organization, appointment_id: int) -> Appointment:
    """Read an appointment and keep it as it is, since the payment copies its facts."""
    table = tables.appointments
    found = await maybe(
        tx.connection,
        select(*shape(table, Appointment, currency=shop.currency))
        .where(table.c.organization_id == shop.id, table.c.id == appointment_id)
        .with_for_update(read=True),
        Appointment,
    )
    if found is None:
        raise NotFound("appointment", appointment_id)
    if found.status == Status.CANCELLED:
        raise refuse_move(found, "paid for")
    return found


async def _payment_to_refund(
    tx: Transaction, shop: Organization, payment_id: int
) -> tuple[Payment, Appointment | None]:
    """Lock a payment, after its appointment: so refunds of one payment take turns."""
    table = tables.payments
    found = select(*shape(table, Payment, currency=shop.currency)).where(
        table.c.organization_id == shop.id, table.c.id == payment_id
    )
    payment = await maybe(tx.connection, found, Payment)
    if payment is None:
        raise NotFound("payment", payment_id)
    if payment.status != "completed":
        reason = "PAYMENT_NOT_COMPLETED"
        message = f"the payment is {payment.status}: there is nothing to give back"
        raise FailedPrecondition(
            reason, message, subject=f"payments/{payment.id}", payment_id=payment.id
        )
    appointment = None
    if payment.appointment_id is not None:
        appointment = await lookups.appointment_to_change(tx, shop, payment.appointment_id)
    return await only(tx.connection, found.with_for_update(key_share=True), Payment), appointment


async def _given_back(tx: Transaction, payment_id: int) -> Decimal:
    table = tables.refunds
    total = await tx.connection.scalar(
        select(func.sum(table.c.amount)).where(table.c.payment_id == payment_id)
    )
    return Decimal(0) if total is None else total
