"""The two services as child processes."""

import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from grpc import ChannelCredentials
from grpc.aio import AioRpcError, Channel, insecure_channel, secure_channel
from grpc_health.v1 import health_pb2, health_pb2_grpc

from devstack.children import Child

__all__ = ["ROOT", "ServiceProcess", "environment"]

_START_SECONDS = 120.0
ROOT = Path(__file__).resolve().parent.parent


def environment(variables: Mapping[str, str], root: Path = ROOT) -> dict[str, str]:
    """Return our environment with exactly these CHAIRSIDE_ variables, and the packages in `root`.

    Those and no others, whatever folder the process is started in.
    """
    kept = {k: v for k, v in os.environ.items() if not k.startswith("CHAIRSIDE_")}
    return kept | dict(variables) | {"PYTHONPATH": str(root), "PYTHONSAFEPATH": "1"}


class ServiceProcess(Child):
    """Run `python -m PACKAGE serve` of `root` with exactly these CHAIRSIDE_ variables.

    With `credentials` its health is asked over TLS.

    `address` and `metrics_port` are known once it is started, whatever port it was
    told; it is started when its health says SERVING.
    """

    def __init__(
        self,
        package: str,
        variables: Mapping[str, str],
        logs: Path,
        root: Path = ROOT,
        credentials: ChannelCredentials | None = None,
    ) -> None:
        self.address = ""
        self.metrics_port = 0
        self._credentials = credentials
        super().__init__(
            package,
            [sys.executable, "-m", package, "serve"],
            log_path=logs / f"{package}.log",
            environ=environment(variables, root),
        )

    async def start(self) -> None:
        """Start it and wait until its health says SERVING."""
        await super().start()
        await self.until(self._serves, _START_SECONDS)

    async def restart(self) -> None:
        """Start it again; with port 0 it may have another address then."""
        await self.stop()
        await self.start()

    async def _serves(self) -> bool:
        for line in self.output().splitlines():
            if '"serving"' in line:
                event = json.loads(line)
                if event.get("event") == "serving":
                    self.address = event["listen"]
                    self.metrics_port = event["metrics_port"]
                    with suppress(AioRpcError):  # It may have ended since: that is told better.
                        return await self.serving()
        return False

    def channel(self) -> Channel:
        """Return a channel to it."""
        if self._credentials is None:
            return insecure_channel(self.address)
        return secure_channel(self.address, self._credentials)

    async def serving(self) -> bool:
        """Ask its health."""
        async with self.channel() as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=5)
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
