"""What both processes share at the edge: errors, validation, RPC registration, lifecycle."""
