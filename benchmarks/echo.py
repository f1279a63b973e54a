"""The yardstick: a bare grpc.aio server that answers every call with the same bytes.

    python -m benchmarks.echo 127.0.0.1:50059 answer.bin

It has the services' event loop and channel options, and nothing else of theirs.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import grpc
import uvloop

from service_kit.limits import server_options

__all__: list[str] = []


class _Echo(grpc.GenericRpcHandler):
    def __init__(self, answer: bytes) -> None:
        async def echo(_request: bytes, _context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
            return answer

        self._handler: grpc.RpcMethodHandler[Any, Any] = grpc.unary_unary_rpc_method_handler(echo)

    def service(
        self, _handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[Any, Any]:
        return self._handler


async def main(listen: str, answer: bytes) -> None:
    """Serve until killed."""
    server = grpc.aio.server(options=server_options())
    server.add_generic_rpc_handlers((_Echo(answer),))
    server.add_insecure_port(listen)
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], Path(sys.argv[2]).read_bytes()))
