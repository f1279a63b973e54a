"""The whole system on one machine: Postgres, Valkey, both services; what tests start, too."""
