"""What writers do: choose a mutation of the hot shop, and learn from its answer."""

from dataclasses import dataclass
from random import Random
from typing import Any
from uuid import UUID

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.money_pb2 import Money as MoneyMessage

from chairside.booking.v1 import booking_service_pb2 as pb
from tests.faults.answers import cents_of, visit_of
from tests.faults.history import HELD, Money, Visit, Write
from tests.faults.shop import Shop

__all__ = ["UNKNOWN", "Mutator", "Plan", "read_answer"]

UNKNOWN = frozenset({"CANCELLED", "DEADLINE_EXCEEDED", "INTERNAL", "UNAVAILABLE", "UNKNOWN"})
"""Statuses after which a mutation may have been committed."""
_FULL = 60
"""So many held appointments make the shop full: then more are cancelled than booked."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One mutation to send."""

    method: str
    request_id: str
    request: bytes


class Mutator:
    """Chooses mutations at random; knows of the shop what acknowledgements told."""

    def __init__(self, shop: Shop, random: Random) -> None:
        self._shop = shop
        self._random = random
        self._held: dict[int, Visit] = {}
        self._paid: dict[int, Money] = {}

    def plan(self) -> Plan:
        """Choose one: bookings while there is room, cancellations while there is little."""
        full = len(self._held) / _FULL
        kinds = [
            *(self._create, self._cancel, self._move),
            *(self._pay, self._refund, self._complete),
        ]
        # Few are completed: those take their time for good.
        weights = [max(1.0, 10 * (1 - full)), 8 * full, 5, 4, 2 if self._paid else 0, 0.7]
        if not self._held:
            return self._create()
        plan: Plan = self._random.choices(kinds, weights)[0]()
        return plan

    def learn(self, write: Write, response: bytes) -> bool:
        """Take an answer's visits and money into the record; tell whether it was applied."""
        message: Any = getattr(pb, f"{write.method}Response").FromString(response)
        read_answer(write, message)
        write.token = message.token
        for name, visit in write.visits.items():
            known = self._held.get(name)
            if known is not None:
                write.left.append(known)
            if visit.status != HELD:
                self._held.pop(name, None)
            elif known is None or known.version < visit.version:
                self._held[name] = visit
        if write.money is not None and not write.money.refund:
            self._paid[write.money.id] = write.money
        return bool(message.cache_applied)

    def refused(self, plan: Plan) -> None:
        """Forget what a refusal shows to be out of date."""
        request: Any = getattr(pb, f"{plan.method}Request").FromString(plan.request)
        if plan.method in {"CancelAppointment", "CompleteAppointment", "ConfirmPayment"}:
            self._held.pop(request.appointment_id, None)
        elif plan.method == "RefundPayment":
            self._paid.pop(request.payment_id, None)

    def _plan(self, method: str, /, **fields: Any) -> Plan:
        # The same seed in another shop must not repeat a request.
        number = self._shop.organization_id << 64 | self._random.getrandbits(64)
        request_id = str(UUID(int=number))
        kind: type[Message] = getattr(pb, f"{method}Request")
        request = kind(organization_id=self._shop.organization_id, request_id=request_id, **fields)
        return Plan(method, request_id, request.SerializeToString())

    def _time(self) -> Timestamp:
        starts = self._shop.starts(self._shop.any_day(self._random))
        return Timestamp(seconds=self._random.choice(starts[:-4]))

    def _create(self) -> Plan:
        return self._plan(
            "CreateAppointment",
            barber_id=self._random.choice(self._shop.barbers),
            service_id=self._random.choice(list(self._shop.services)),
            client_id=self._random.choice(self._shop.clients),
            start_time=self._time(),
        )

    def _any_held(self) -> int:
        return self._random.choice(list(self._held))

    def _cancel(self) -> Plan:
        return self._plan("CancelAppointment", appointment_id=self._any_held())

    def _complete(self) -> Plan:
        return self._plan("CompleteAppointment", appointment_id=self._any_held())

    def _move(self) -> Plan:
        return self._plan(
            "RescheduleAppointment",
            appointment_id=self._any_held(),
            start_time=self._time(),
            barber_id=self._random.choice(self._shop.barbers),
        )

    def _pay(self) -> Plan:
        return self._plan(
            "ConfirmPayment",
            appointment_id=self._any_held(),
            amount=_money(self._random.randint(100, 9999)),
            method="card",
        )

    def _refund(self) -> Plan:
        payment = self._random.choice(list(self._paid.values()))
        # Seldom all of it: that cancels the appointment, too.
        cents = self._random.choice([payment.cents, payment.cents // 2, payment.cents // 3])
        return self._plan("RefundPayment", payment_id=payment.id, amount=_money(cents))


def read_answer(write: Write, message: Any) -> None:
    """Take what a mutation made out of its response."""
    for field in ("appointment", "cancelled_appointment"):
        if field in message.DESCRIPTOR.fields_by_name and message.HasField(field):
            appointment = getattr(message, field)
            write.visits[appointment.appointment_id] = visit_of(appointment)
    if "payment" in message.DESCRIPTOR.fields_by_name:
        paid = message.payment
        write.money = Money(paid.payment_id, paid.client_id, cents_of(paid.amount), refund=False)
    if "refund" in message.DESCRIPTOR.fields_by_name:
        back = message.refund
        write.money = Money(back.refund_id, back.client_id, cents_of(back.amount), refund=True)


def _money(cents: int) -> MoneyMessage:
    return MoneyMessage(currency_code="CAD", units=cents // 100, nanos=cents % 100 * 10_000_000)
