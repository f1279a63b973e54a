"""What the booking service does: one function for each mutation, decided in Postgres alone."""
