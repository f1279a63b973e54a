"""The house that both processes share."""
