"""The schema's history, forward only; run by `booking_service.postgres.migrate`."""
