"""Have a server listen: on a port or on a Unix socket, with TLS or without."""

import socket
from contextlib import suppress

import grpc

from service_kit.settings import ProcessSettings, socket_path, split_address
from service_kit.starting import StartError, cannot_listen
from service_kit.tls import TlsError, TlsFiles, server_credentials

__all__ = ["listen"]

_SECONDS = 1.0


def listen(
    server: grpc.aio.Server, settings: ProcessSettings, files: TlsFiles | None = None
) -> str:
    """Bind the address of the settings and return it, with the port found if it was 0.

    Over TLS if there are `files`. Raises StartError.
    """
    path = socket_path(settings.listen)
    if path is not None and _answers(path):
        raise cannot_listen(settings)  # gRPC would take its place without a word
    try:
        if files is None:
            port = server.add_insecure_port(settings.listen)
        else:
            mutual = settings.tls_client_ca is not None
            port = server.add_secure_port(settings.listen, server_credentials(files, mutual=mutual))
    except RuntimeError:
        port = 0
    except TlsError as error:
        message = f"{settings.prefix}TLS_CERTIFICATE: {error}"
        raise StartError(message) from None
    if port == 0:
        raise cannot_listen(settings)
    return settings.listen if path is not None else f"{split_address(settings.listen)[0]}:{port}"


def _answers(path: str) -> bool:
    """Tell whether a process listens there; the socket of one that was killed stays."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe, suppress(OSError):
        probe.settimeout(_SECONDS)
        probe.connect(path)
        return True
    return False
