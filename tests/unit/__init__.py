"""Without input and output, in seconds."""
