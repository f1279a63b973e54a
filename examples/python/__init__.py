"""In Python, with the code that `make protos` generates."""
