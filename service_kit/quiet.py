"""Keep gRPC's own log out of ours; to be imported before grpc, which looks when it is.

It is written by whoever sends us frames: their bytes, as many lines as they like. What a
process has to say of a call stands in its own log. GRPC_VERBOSITY in the environment holds.
"""

import os

__all__: list[str] = []

os.environ.setdefault("GRPC_VERBOSITY", "NONE")
