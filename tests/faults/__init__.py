"""Recorded histories of real processes under faults, checked afterwards."""

import os

# Read by grpc when it is first imported: its fork handlers crash children now and then that
# are started while calls are under way, and processes are restarted here all the time.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
