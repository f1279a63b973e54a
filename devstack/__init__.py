"""The whole system on one machine: Postgres, Valkey, both services; what tests start, too."""

import os

# Read by grpc when it is first imported: its fork handlers crash children now and then that
# are started while calls are under way.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
