"""Why a measurement is void."""

__all__ = ["BenchmarkError"]


class BenchmarkError(Exception):
    """Say what was not as it should have been, so that there is no figure."""
