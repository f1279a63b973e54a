"""The methods that take money and give it back."""

from decimal import Decimal

from booking_service.edge import messages
from booking_service.edge.mutating import Mutating, checked, given
from booking_service.edge.statuses import MAX_REASON
from booking_service.use_cases.payments import (
    NewPayment,
    NewRefund,
    confirm_payment,
    refund_payment,
)
from chairside.booking.v1 import booking_service_pb2 as pb
from service_kit.calls import Context
from service_kit.validation import Violations

__all__ = ["Payments"]

_CENT = Decimal("0.01")
_MAX_METHOD = 50


class Payments(Mutating):
    """Take money, give it back."""

    async def ConfirmPayment(
        self, request: pb.ConfirmPaymentRequest, context: Context
    ) -> pb.ConfirmPaymentResponse:
        """Record a completed payment."""
        v = Violations()
        organization_id = v.id("organization_id", request.organization_id)
        appointment_id = v.optional_id("appointment_id", request.appointment_id)
        barber_id = v.optional_id("barber_id", request.barber_id)
        if request.appointment_id == 0 and request.barber_id == 0:
            v.add("barber_id", "is required for a retail sale")
        client_id = v.optional_id("client_id", request.client_id)
        money = v.money(
            "amount",
            request.amount,
            has=request.HasField("amount"),
            minimum=_CENT,
            required=True,
        )
        method = v.text("method", request.method, maximum=_MAX_METHOD)
        paid_at = v.timestamp("paid_at", request.paid_at, has=request.HasField("paid_at"))
        told = checked(v, request)
        amount, currency = given(money)
        wanted = NewPayment(
            organization_id,
            appointment_id,
            barber_id,
            client_id,
            amount,
            currency,
            method,
            paid_at,
        )
        return await self.mutate(
            context,
            told,
            lambda tx: confirm_payment(tx, wanted),
            pb.ConfirmPaymentResponse,
            payment=messages.payment,
        )

    async def RefundPayment(
        self, request: pb.RefundPaymentRequest, context: Context
    ) -> pb.RefundPaymentResponse:
        """Give money back; a full refund cancels a future appointment."""
        v = Violations()
        money = v.money("amount", request.amount, has=request.HasField("amount"), minimum=_CENT)
        wanted = NewRefund(
            v.id("organization_id", request.organization_id),
            v.id("payment_id", request.payment_id),
            None if money is None else money.amount,
            "" if money is None else money.currency,
            v.text("reason", request.reason, maximum=MAX_REASON, multiline=True),
        )
        return await self.mutate(
            context,
            checked(v, request),
            lambda tx: refund_payment(tx, wanted),
            pb.RefundPaymentResponse,
            refund=lambda done: messages.refund(done[0]),
            cancelled_appointment=lambda done: (
                None if done[1] is None else messages.appointment(done[1])
            ),
        )
