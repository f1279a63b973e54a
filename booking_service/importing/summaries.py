"""What was written: counted up batch by batch, and shown as a table."""

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from zoneinfo import ZoneInfo

from rich.table import Table

from booking_service.importing.records import Batch

__all__ = ["Summary", "Tally"]


@dataclass(slots=True)
class Tally:
    """Counts of appointments by status and of money, and revenue by local month (`YYYY-MM`)."""

    appointments: Counter[str] = field(default_factory=Counter)
    payments: int = 0
    refunds: int = 0
    revenue: dict[str, Decimal] = field(default_factory=dict)

    def add(self, batch: Batch, zone: ZoneInfo) -> None:
        """Count a batch; revenue is completed payments less refunds, each in its own month."""
        self.appointments.update(each.status for each in batch.appointments)
        self.payments += len(batch.payments)
        self.refunds += len(batch.refunds)
        amounts = [
            (each.paid_at, each.amount) for each in batch.payments if each.status == "completed"
        ]
        amounts += [(each.refunded_at, -each.amount) for each in batch.refunds]
        for instant, amount in amounts:
            local = instant.astimezone(zone)
            month = f"{local.year:04}-{local.month:02}"
            self.revenue[month] = self.revenue.get(month, Decimal(0)) + amount


@dataclass(frozen=True, slots=True)
class Summary:
    """A shop as it was written; `seconds` from the first row read to the commit."""

    organization_id: int
    name: str
    barbers: int
    services: int
    clients: int
    tally: Tally
    seconds: float

    @property
    def appointments(self) -> int:
        """Count the appointments of every status."""
        return self.tally.appointments.total()

    @property
    def per_second(self) -> float:
        """Rate of appointments written, with all that belongs to them."""
        return self.appointments / self.seconds if self.seconds else 0.0

    def table(self, currency: str) -> Table:
        """Show it in a few lines."""
        table = Table(title=f"{self.name} (organization {self.organization_id})", show_header=False)
        table.add_column()
        table.add_column(justify="right")
        for what, count in (
            ("barbers", self.barbers),
            ("services", self.services),
            ("clients", self.clients),
            ("appointments", self.appointments),
            *((f"  {status}", count) for status, count in self.tally.appointments.most_common()),
            ("payments", self.tally.payments),
            ("refunds", self.tally.refunds),
        ):
            table.add_row(what, f"{count:,}")
        for month, amount in sorted(self.tally.revenue.items()):
            table.add_row(f"revenue {month}", f"{amount:,.2f} {currency}")
        table.add_row("appointments a second", f"{self.per_second:,.0f}")
        return table
