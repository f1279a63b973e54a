"""Ask a process for its health: `python -m service_kit.health_probe TARGET [SERVICE]`.

For container health checks: exits with 0 if it is SERVING, else with 1. TARGET is host:port
or unix:/path. With `--ca` it asks over TLS, and shows `--certificate` and `--key` if the
process wants to see one of its callers; `--name` is the server's if the target's is another.
"""

from pathlib import Path
from typing import Annotated

import grpc
import typer
from grpc_health.v1 import health_pb2, health_pb2_grpc

from service_kit.tls import TlsError, TlsFiles

__all__ = ["probe"]

_SECONDS = 2.0


def probe(
    target: str,
    service: str = "",
    *,
    credentials: grpc.ChannelCredentials | None = None,
    name: str = "",
) -> str:
    """Return the state by name, or the status code's name if there was no answer."""
    options = [("grpc.ssl_target_name_override", name)] if name else []
    made = (
        grpc.insecure_channel(target, options)
        if credentials is None
        else grpc.secure_channel(target, credentials, options)
    )
    with made as channel:
        request = health_pb2.HealthCheckRequest(service=service)
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=_SECONDS)
        except grpc.RpcError as error:
            return str(error.code().name)
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))


def _main(  # noqa: PLR0917 - a command's options
    target: str,
    service: Annotated[str, typer.Argument()] = "",
    ca: Annotated[Path | None, typer.Option()] = None,
    certificate: Annotated[Path | None, typer.Option()] = None,
    key: Annotated[Path | None, typer.Option()] = None,
    name: Annotated[str, typer.Option()] = "",
) -> None:
    """Ask a process for its health."""
    try:
        credentials = None if ca is None else TlsFiles(certificate, key, ca).read().channel()
    except TlsError as error:
        typer.echo(error, err=True)
        raise typer.Exit(2) from None
    state = probe(target, service, credentials=credentials, name=name)
    typer.echo(state)
    raise typer.Exit(0 if state == "SERVING" else 1)


if __name__ == "__main__":
    typer.run(_main)
