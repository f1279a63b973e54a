"""TLS and Unix sockets of a server, with certificates that are renewed while it serves."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import grpc
import pytest
import trustme
from structlog.testing import capture_logs

from service_kit.health import SERVICE as HEALTH
from service_kit.health import Health
from service_kit.health_probe import probe
from service_kit.listening import listen
from service_kit.process import StartError, server_options
from service_kit.rpc import register
from service_kit.settings import Listen, ProcessSettings, SettingsError, WorkerSettings, check
from service_kit.tls import TlsFiles
from tests.support.certificates import Issued, issue
from tests.support.grpc_server import calls_of_nobody


class Settings(ProcessSettings):
    """A process on a free port."""

    prefix: ClassVar[str] = "CHAIRSIDE_CACHE_"
    listen: str = "127.0.0.1:0"
    metrics_listen: str = "127.0.0.1:0"


class Workers(WorkerSettings):
    """One that may have workers."""

    prefix: ClassVar[str] = "CHAIRSIDE_CACHE_"
    listen: Listen = "unix:/tmp/chairside.sock"
    metrics_listen: str = "127.0.0.1:0"


@asynccontextmanager
async def served(settings: ProcessSettings) -> AsyncIterator[str]:
    """Serve health as the settings say, and yield the address."""
    server = grpc.aio.server(options=server_options())
    health = Health([])
    health.set_serving()
    register(server, HEALTH, health, calls_of_nobody())
    address = listen(server, settings, settings.tls_files)
    await server.start()
    try:
        yield address
    finally:
        await server.stop(None)


def secured(issued: Issued, client_ca: Path | None = None, **more: Any) -> Settings:
    """Make the settings of a server with that certificate."""
    return Settings(
        tls_certificate=issued.certificate, tls_key=issued.key, tls_client_ca=client_ca, **more
    )


async def ask(channel: grpc.aio.Channel) -> bytes:
    """Ask for the health."""
    answer: bytes = await channel.unary_unary(f"/{HEALTH.full_name}/Check")(b"", timeout=20)
    return answer


async def shown(address: str, authority: trustme.CA) -> bytes:
    """Return the certificate that the server shows to a new connection."""
    context = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
    context.set_alpn_protocols(["h2"])
    host, _, port = address.rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port), ssl=context)
    certificate: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    return certificate


async def test_certificates_replaced_while_calls_run_fail_none(tmp_path: Path) -> None:
    """Calls on open connections and on new ones go on; new connections see the new one."""
    authority = trustme.CA()
    issued = issue(authority, tmp_path, "127.0.0.1")
    calls, certificates = 0, set[bytes]()
    done = asyncio.Event()
    async with served(secured(issued)) as address:

        async def call(*, anew: bool) -> None:
            nonlocal calls
            credentials = issued.channel()
            channel = grpc.aio.secure_channel(address, credentials)
            while not done.is_set():
                assert await ask(channel) == b"\x08\x01"
                calls += 1
                if anew:
                    await channel.close()
                    # Else gRPC joins channels to one address in one connection.
                    options = [("grpc.use_local_subchannel_pool", 1)]
                    channel = grpc.aio.secure_channel(address, credentials, options)
            await channel.close()

        async with asyncio.TaskGroup() as group:
            for anew in (False, True, True):
                group.create_task(call(anew=anew))
            for _ in range(5):
                before = calls
                certificates.add(await shown(address, authority))
                await asyncio.to_thread(issue, authority, tmp_path, "127.0.0.1")
                while calls < before + 10:  # noqa: ASYNC110 - of whichever task
                    await asyncio.sleep(0.01)
            done.set()
        certificates.add(await shown(address, authority))
    assert len(certificates) == 6
    assert calls >= 50


async def test_a_renewal_that_cannot_be_used_leaves_the_old_one(tmp_path: Path) -> None:
    """Half of a pair, or rubbish, is one line in the log; the next sound pair is taken."""
    authority = trustme.CA()
    issued = issue(authority, tmp_path / "server", "127.0.0.1")
    other = issue(authority, tmp_path / "other", "127.0.0.1")
    with capture_logs() as logs:
        async with served(secured(issued)) as address:
            old = await shown(address, authority)
            for content in (other.certificate.read_bytes(), b"rubbish"):
                issued.certificate.write_bytes(content)
                for _ in range(2):
                    assert await shown(address, authority) == old
            issued.certificate.unlink()
            assert await shown(address, authority) == old
            issued.certificate.write_bytes(other.certificate.read_bytes())
            issued.key.write_bytes(other.key.read_bytes())
            assert await shown(address, authority) != old
    events = [(line["log_level"], line["event"].partition(" ")[0]) for line in logs]
    assert events[:2] == [("error", "the"), ("error", "the")]
    assert events[-1] == ("info", "certificates")


async def test_with_an_authority_of_callers_each_must_show_a_certificate(tmp_path: Path) -> None:
    """One of that authority is let in; none, and one of another, are not."""
    ours, theirs, strangers = trustme.CA(), trustme.CA(), trustme.CA()
    server = issue(ours, tmp_path / "server", "127.0.0.1")
    caller = issue(theirs, tmp_path / "caller", common_name="web")
    stranger = issue(strangers, tmp_path / "stranger", common_name="web")
    async with served(secured(server, caller.ca)) as address:

        async def state(files: TlsFiles) -> str:
            return await asyncio.to_thread(probe, address, credentials=files.read().channel())

        assert await state(TlsFiles(caller.certificate, caller.key, server.ca)) == "SERVING"
        assert await state(TlsFiles(None, None, server.ca)) == "UNAVAILABLE"
        assert await state(TlsFiles(stranger.certificate, stranger.key, server.ca)) == "UNAVAILABLE"
        assert await asyncio.to_thread(probe, address) == "UNAVAILABLE"


async def test_a_unix_socket_is_one_process_s_alone(tmp_path: Path) -> None:
    """A second process is refused with one line; what a killed one left is replaced."""
    settings = Settings(listen=f"unix:{tmp_path}/here")
    async with served(settings) as address:
        assert address == f"unix:{tmp_path}/here"
        assert await asyncio.to_thread(probe, address) == "SERVING"
        with pytest.raises(StartError, match=r"CHAIRSIDE_CACHE_LISTEN: .* cannot be bound"):
            async with served(settings):
                pass
        assert await asyncio.to_thread(probe, address) == "SERVING"
    dead = tmp_path / "here"
    probing = await asyncio.start_unix_server(lambda *_: None, dead)
    probing.close()
    async with served(settings):
        assert await asyncio.to_thread(probe, address) == "SERVING"


def test_files_that_do_not_go_together_are_named(tmp_path: Path) -> None:
    """A missing half, a missing file, a key of another certificate: one line each."""
    authority = trustme.CA()
    one = issue(authority, tmp_path / "one", "localhost")
    other = issue(authority, tmp_path / "other", "localhost")
    check(secured(one))
    for wrong, expected in [
        ({"tls_certificate": one.certificate}, "TLS_KEY: is required beside"),
        ({"tls_key": one.key}, "TLS_KEY: needs a certificate"),
        ({"tls_client_ca": one.ca}, "TLS_CLIENT_CA: needs a certificate"),
        ({"tls_certificate": one.certificate, "tls_key": other.key}, "KEY_VALUES_MISMATCH"),
        ({"tls_certificate": one.certificate, "tls_key": tmp_path / "no"}, "No such file"),
    ]:
        with pytest.raises(SettingsError, match=expected) as caught:
            check(Settings(**wrong))
        assert len(caught.value.problems) == 1
    with pytest.raises(SettingsError, match="WORKERS: must be 1: processes cannot share"):
        check(Workers(workers=2))
    check(Workers())


@pytest.mark.parametrize("wrong", ["unix:", "unix:here", f"unix:/{'x' * 107}"])
def test_a_socket_s_path_is_absolute_and_short(wrong: str) -> None:
    """As the kernel wants it."""
    with pytest.raises(ValueError, match="must be unix:/path"):
        Workers(listen=wrong)
