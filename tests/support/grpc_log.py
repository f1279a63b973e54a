"""The lines that gRPC's own library writes to a process's errors, which are nobody's complaint."""

import re

__all__ = ["without_grpcs_own"]

_ITS_OWN = re.compile(r"[IW]\d{4} ")
"""Its level and the date, as `I1231 23:59:59.000000 ...`."""


def without_grpcs_own(errors: str) -> list[str]:
    """Return the lines of what a process wrote to its errors, without gRPC's."""
    return [line for line in errors.splitlines() if not _ITS_OWN.match(line)]
