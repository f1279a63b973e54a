"""Authorities, certificates and their files, as a test needs them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import trustme

__all__ = ["Issued", "issue"]


@dataclass(frozen=True, slots=True)
class Issued:
    """The files of a certificate, its key, and the authority that issued it."""

    certificate: Path
    key: Path
    ca: Path

    def channel(self, server: "Issued | None" = None) -> grpc.ChannelCredentials:
        """Return what a client shows of these, to a server of that authority."""
        return grpc.ssl_channel_credentials(
            (server or self).ca.read_bytes(), self.key.read_bytes(), self.certificate.read_bytes()
        )

    def variables(self, prefix: str, client: "Issued | None" = None) -> Iterator[tuple[str, str]]:
        """Yield the settings of a service that listens with these."""
        yield f"{prefix}TLS_CERTIFICATE", str(self.certificate)
        yield f"{prefix}TLS_KEY", str(self.key)
        if client is not None:
            yield f"{prefix}TLS_CLIENT_CA", str(client.ca)


def issue(
    authority: trustme.CA, directory: Path, *names: str, common_name: str | None = None
) -> Issued:
    """Write a certificate of those names in place of the one that is there, if there is one.

    The certificate is replaced before the key, as a careless renewal does it.
    """
    made = authority.issue_cert(*names, common_name=common_name)
    directory.mkdir(exist_ok=True)
    issued = Issued(directory / "cert.pem", directory / "key.pem", directory / "ca.pem")
    issued.ca.write_bytes(authority.cert_pem.bytes())
    issued.certificate.write_bytes(b"".join(pem.bytes() for pem in made.cert_chain_pems))
    issued.key.write_bytes(made.private_key_pem.bytes())
    return issued
