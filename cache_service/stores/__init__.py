"""Where entries and guards live."""
