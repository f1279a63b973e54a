"""The booking service's use cases and servicers against a real Postgres."""
