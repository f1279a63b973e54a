"""Certificates, keys and authorities in files, which are read anew when they are renewed.

Connections that are open go on; a file that cannot be used leaves the old ones in force,
with one line in the log. Files may be replaced one after the other: a key is taken only with
the certificate that it fits.
"""

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, cast

import grpc
import structlog

from service_kit.renewal import Stamp, stamp

__all__ = ["Pems", "TlsError", "TlsFiles", "server_credentials"]


class TlsError(Exception):
    """Say in one line why files cannot be used."""


class Pems(NamedTuple):
    """What the files hold; empty where there is none."""

    certificate: bytes
    key: bytes
    ca: bytes

    def channel(self) -> grpc.ChannelCredentials:
        """Return what a client connects with; without an authority it trusts the usual ones."""
        return grpc.ssl_channel_credentials(
            self.ca or None, self.key or None, self.certificate or None
        )


class TlsFiles:
    """The files of one side: its certificate with its key, and whom it trusts, each or none."""

    def __init__(self, certificate: Path | None, key: Path | None, ca: Path | None) -> None:
        self._certificate = certificate
        self._key = key
        self._ca = ca
        self._seen: Stamp = ()
        self.refused = False
        """Whether what took the place of the files cannot be used."""

    def read(self) -> Pems:
        """Read and check all; raises TlsError."""
        try:
            self._seen = self._stamp()
            return self._checked()
        except OSError as error:  # an ssl.SSLError is one
            raise TlsError(self._why(error)) from None

    def renewed(self) -> Pems | None:
        """Return what the files hold if they changed since they were read last and are sound."""
        try:
            now = self._stamp()
            if now == self._seen:
                return None
            pems = self._checked()
            if self._stamp() != now:  # replaced meanwhile: the next look takes it
                return None
        except FileNotFoundError:  # between two of them
            return None
        except OSError as error:
            self._seen, self.refused = now, True
            structlog.get_logger("service_kit.tls").error(
                "the renewed files cannot be used, the old ones stay in force",
                reason=self._why(error),
            )
            return None
        self._seen, self.refused = now, False
        structlog.get_logger("service_kit.tls").info(
            "certificates renewed", files=[str(path) for path in self._paths()]
        )
        return pems

    def _paths(self) -> list[Path]:
        return [path for path in (self._certificate, self._key, self._ca) if path is not None]

    def _stamp(self) -> Stamp:
        return stamp(*self._paths())

    def _checked(self) -> Pems:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if self._certificate is not None:
            # An encrypted key is refused, not asked for a password on the terminal.
            context.load_cert_chain(self._certificate, self._key, password="")
        if self._ca is not None:
            context.load_verify_locations(self._ca)
        return Pems(*map(_content, (self._certificate, self._key, self._ca)))

    def _why(self, error: OSError) -> str:
        if isinstance(error, ssl.SSLError):
            names = ", ".join(map(str, self._paths()))
            return f"{names}: not PEM files of a certificate and its key: {error.reason}"
        return f"{error.filename}: {error.strerror}"


def server_credentials(files: TlsFiles, *, mutual: bool) -> grpc.ServerCredentials:
    """Return what gRPC listens with; `mutual`: callers must have a certificate of the authority.

    Raises TlsError if the files cannot be used now.
    """

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        # On a thread of gRPC's own, before each handshake: two may come at once, and the one
        # that sees the change second goes on with what is in force.
        pems = files.renewed()
        return None if pems is None else _configuration(pems)

    # None means no change, which types-grpcio does not know.
    fetcher = cast("Callable[[], grpc.ServerCertificateConfiguration]", fetch)
    return grpc.dynamic_ssl_server_credentials(_configuration(files.read()), fetcher, mutual)


def _configuration(pems: Pems) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(pems.key, pems.certificate)], pems.ca or None
    )


def _content(path: Path | None) -> bytes:
    return b"" if path is None else path.read_bytes()
