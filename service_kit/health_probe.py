"""Ask a process for its health: `python -m service_kit.health_probe HOST:PORT [SERVICE]`.

For container health checks: exits with 0 if it is SERVING, else with 1.
"""

import sys

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

__all__ = ["probe"]

_SECONDS = 2.0


def probe(address: str, service: str = "") -> str:
    """Return the state by name, or the status code's name if there was no answer."""
    with grpc.insecure_channel(address) as channel:
        request = health_pb2.HealthCheckRequest(service=service)
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=_SECONDS)
        except grpc.RpcError as error:
            return str(error.code().name)
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))


if __name__ == "__main__":
    state = probe(*sys.argv[1:3])
    sys.stdout.write(f"{state}\n")
    sys.exit(0 if state == "SERVING" else 1)
