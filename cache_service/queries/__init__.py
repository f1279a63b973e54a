"""The cached reads, one file each; `declare` has the decorators that declare them."""
