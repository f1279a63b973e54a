"""What is measured, against whom; results go under docs/."""

import os

# gRPC's own handlers for fork are of no use to who only starts other programs, and say so.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
