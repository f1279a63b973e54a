"""Where each scalar of a report belongs: under which label, or in which column."""

__all__ = ["ANY", "COLUMNS", "FIGURES", "NOT_SHOWN", "PLACES", "SIDES", "Place"]

ANY = ""
Place = tuple[str, str]
"""A row's name and a column's title; a figure has its label and no column. ANY: whichever."""

COUNTS = {"count": "Appointments", "no_shows": "No-shows"}
RATES = {"completion_rate": "Completion", "no_show_rate": "No-show rate"}
COLUMNS: dict[str, dict[str, str]] = {
    "RevenuePeriod": {
        "period": "Period",
        "revenue": "Revenue",
        "transactions": "Transactions",
        "average": "Average",
        "refunds": "Refunds",
        "refund_count": "Number of refunds",
    },
    "StatusCount": {"count": "Appointments"},
    "ServiceStats": {
        "name": "Service",
        "revenue": "Revenue",
        "completed": "Completed",
        "cancelled": "Cancelled",
        "cancellation_rate": "Cancellation",
        **COUNTS,
        **RATES,
    },
    "HourCount": {"hour": "Hour", "count": "Appointments"},
    "HourPattern": {"hour": "Hour", **COUNTS},
    "WeekdayPattern": {"weekday": "Weekday", **COUNTS},
    "MonthPattern": {"month": "Month", "count": "Appointments"},
    "ServicePattern": {"name": "Service", "mean_payment": "Mean payment", **COUNTS, **RATES},
    "Action": {"kind": "Action", "measured": "Measured", "threshold": "Bound"},
    "Insight": {
        "kind": "Insight",
        "service_name": "Insight",
        "measured": "Measured",
        "threshold": "Bound",
    },
    "ClientValue": {
        "name": "Client",
        "predicted": "Predicted",
        "spent": "Spent",
        "visits": "Visits",
        "average_order": "Average order",
        "mean_days_between_visits": "Days between visits",
        "first_visit": "First visit",
        "last_visit": "Last visit",
    },
    "ClientValues": {
        "clients": "Clients",
        "spent": "Spent",
        "visits": "Visits",
        "predicted": "Predicted",
        "mean_spent": "Mean spent",
        "mean_visits": "Mean visits",
        "mean_predicted": "Mean predicted",
    },
}
"""By the message of a row: the column of each of its fields."""
FIGURES: dict[str, dict[str, str]] = {
    "RevenuePeriod": {
        "revenue": "Revenue",
        "transactions": "Transactions",
        "average": "Average",
        "refunds": "Refunds",
        "refund_count": "Refunds",
    },
    "ClientValues": {
        "clients": "Clients",
        "spent": "Spent",
        "mean_spent": "Spent",
        "visits": "Visits",
        "mean_visits": "Visits",
        "predicted": "Predicted value",
        "mean_predicted": "Predicted value",
    },
    "AppointmentStatsReport": {
        "total": "Appointments",
        "completion_rate": "Completion rate",
        "cancellation_rate": "Cancellation rate",
        "no_show_rate": "No-show rate",
        "booked_minutes": "Utilisation",
        "open_minutes": "Utilisation",
        "utilisation": "Utilisation",
    },
    "SixFigureReport": {
        "monthly_revenue": "Monthly revenue",
        "annual_projection": "Annual projection",
        "average_ticket": "Average ticket",
        "utilisation": "Utilisation",
        "active_clients": "Active clients",
        "visits_per_client": "Visits a client",
        "monthly_target": "Monthly target",
        "daily_target": "Target per open day",
        "monthly_gap": "Monthly gap",
        "clients_needed": "Clients needed",
        "price_increase": "Price increase",
        "recommended_ticket": "Recommended ticket",
        "clients_current": "Clients now",
        "clients_additional": "More clients",
        "retention_rate": "Retention rate",
        "previous_revenue": "30 days before",
        "revenue_change": "Monthly revenue",
    },
    "RetentionReport": {
        "clients": "Clients",
        "retention_rate": "Retention rate",
        "earlier_clients": "Repeat rate, 90 days",
        "repeat_clients": "Repeat rate, 90 days",
        "repeat_rate_90": "Repeat rate, 90 days",
    },
    "PatternsReport": {
        "busiest_hour": "Hour",
        "busiest_weekday": "Weekday",
        "busiest_month": "Month",
    },
    "BarberPerformanceReport": {
        "total": "Appointments",
        "completion_rate": "Completion rate",
        "cancellation_rate": "Cancellation rate",
        "no_show_rate": "No-show rate",
        "revenue": "Revenue",
        "booked_hours": "Booked hours",
        "revenue_per_booked_hour": "Revenue an hour",
        "open_hours": "Utilisation",
        "utilisation": "Utilisation",
        "clients": "Clients",
        "repeat_clients": "Repeat clients",
        "peak_hour": "Peak hour",
        "peak_weekday": "Peak weekday",
    },
    "KeyMetrics": {
        "revenue": "Revenue",
        "revenue_change": "Revenue",
        "transactions": "Transactions",
        "mean_transaction": "Mean transaction",
        "appointments": "Appointments",
        "appointments_change": "Appointments",
        "completion_rate": "Completion rate",
        "completion_change": "Completion rate",
        "no_show_rate": "No-show rate",
        "clients": "Clients",
        "clients_change": "Clients",
        "utilisation": "Utilisation",
    },
}
"""By the message: the label of each field that is a figure, in it or in the note below it."""
PLACES: dict[str, dict[str, set[Place]]] = {
    "SixFigureReport": {
        "annual_projection": {("Annual projection", ANY), ("Projected", "Amount")},
        "target_annual_income": {("Target", "Amount")},
    },
    "RetentionReport": {
        "active_clients": {("Active: at most 30 days ago", "Clients")},
        "at_risk_clients": {("At risk: 31 to 60 days ago", "Clients")},
        "lost_clients": {("Lost: more than 60 days ago", "Clients")},
        "new_clients": {("New: one visit", "Clients")},
        "returning_clients": {("Returning: two or more", "Clients")},
    },
    "ComparisonReport": {
        "revenue_change": {("Revenue", "Change")},
        "appointments_change": {("Appointments", "Change")},
        "completion_change": {("Completion rate", "Change")},
        "clients_change": {("Clients with a visit", "Change")},
    },
}
"""What has a row of its own, or two places."""
SIDES = {
    "revenue": "Revenue",
    "appointments": "Appointments",
    "completion_rate": "Completion rate",
    "clients": "Clients with a visit",
}
NOT_SHOWN = {
    *("service_id", "client_id", "as_of_date", "start_date", "end_date"),
    # Words, not figures: tested one by one.
    *("status", "segment", "priority", "against", "on_track"),
}
