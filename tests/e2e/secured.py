"""Both services with all that docs/security.md has, and two shops of which one is a stranger's."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial, reduce
from hashlib import sha256
from pathlib import Path
from typing import Any

import grpc
import redis.asyncio
import trustme
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from devstack.services import ServiceProcess
from devstack.valkey import ValkeyServer
from service_kit.callers import Right
from tests.e2e.calls import BOOKING_CALLS, Known
from tests.support.certificates import Issued, issue
from tests.support.contract import BOOKING, CACHE
from tests.support.grpc_server import details_of
from tests.support.stack import Database
from tests.support.streams import first_answer
from tests.support.tls_proxy import tls_before

__all__ = ["MARK", "SECRETS", "Outcome", "Secured", "start_secured"]

MARK = "of-the-strangers-shop"
"""What everything of that shop is called."""
TOKENS = {name: f"planted-token-of-{name}" for name in ("one", "all", "gone", *Right)}
REDIS_PASSWORD = "planted-password-of-redis"  # noqa: S105 - of a throwaway server
SECRETS = (*TOKENS.values(), REDIS_PASSWORD)
_NOT_YET = {"MarkNoShow", "RemoveTimeOff", "DeleteService", "DeleteClient"}
"""Methods that need another time, or take away what the others need."""

Outcome = tuple[str, str, Mapping[str, str]]
"""Of a call: its code, its text, and the metadata of its ErrorInfo with the reason."""


@dataclass(slots=True)
class Secured:
    """The system, whom its callers file knows, and the ids of both shops."""

    cache: ServiceProcess
    booking: ServiceProcess
    issued: Mapping[str, Issued]
    authority: trustme.CA
    callers: Path
    mine: Known = field(default_factory=dict)
    theirs: Known = field(default_factory=dict)
    answered: list[bytes] = field(default_factory=list)
    """All that was answered, and why not."""
    channels: dict[str, grpc.aio.Channel] = field(default_factory=dict)

    def channel(self, service: ServiceDescriptor) -> grpc.aio.Channel:
        """Return a channel that is kept open."""
        process = self.cache if service is CACHE else self.booking
        if process.name not in self.channels:
            self.channels[process.name] = process.channel()
        return self.channels[process.name]

    def write_callers(self, text: str) -> None:
        """Put another file in the callers file's place: nobody reads half of it."""
        new = self.callers.with_suffix(".new")
        new.write_text(text)
        new.replace(self.callers)

    async def ask(self, method: MethodDescriptor, request: Message, caller: str | None) -> bytes:
        """Call a method as a caller; of a stream the first answer is returned."""
        service = method.containing_service
        channel = self.channel(service)
        metadata = [("authorization", f"Bearer {TOKENS[caller]}")] if caller else None
        path, raw = f"/{service.full_name}/{method.name}", request.SerializeToString()
        if method.client_streaming:
            exchange = partial(channel.stream_stream(path), metadata=metadata)
            answer = await first_answer(exchange, raw)
        elif method.server_streaming:
            call: Any = channel.unary_stream(path)(raw, metadata=metadata, timeout=20)
            answer = await call.read()
            call.cancel()
        else:
            answer = await channel.unary_unary(path)(raw, metadata=metadata, timeout=20)
        self.answered.append(answer)
        return bytes(answer)

    async def outcome(
        self, method: MethodDescriptor, request: Message, caller: str | None
    ) -> Outcome:
        """Call a method and return how that ended."""
        try:
            await self.ask(method, request, caller)
        except grpc.aio.AioRpcError as error:
            info: Any = details_of(error)["ErrorInfo"]
            told = {**info.metadata, "reason": info.reason}
            self.answered.append(f"{error.details()} {error.trailing_metadata()}".encode())
            return error.code().name, error.details() or "", told
        return "OK", "", {}

    async def open_shop(self, name: str | None) -> Known:
        """Make a shop with one of everything; `name` is what all in it is called."""
        known: Known = {}
        for called, request, keep in BOOKING_CALLS:
            if called in _NOT_YET:
                continue
            method = BOOKING.methods_by_name[called]
            content = dict(request(known))
            if name is not None and "name" in content:
                content["name"] = name
            message = ParseDict(content_of(content), GetMessageClass(method.input_type)())
            raw = await self.ask(method, message, "all")
            if keep:
                answer = GetMessageClass(method.output_type).FromString(raw)
                key, _, path = keep.partition("=")
                told = MessageToDict(answer, preserving_proto_field_name=True)
                known[key] = reduce(dict.__getitem__, path.split("."), told)
        # One that is neither over nor cancelled.
        return {**known, "first": known["late"], "appointment": known["late"]}


def content_of(content: Any) -> Any:
    """Return a request of grpcurl's as protobuf's own JSON has it: a mask is a string there."""
    if isinstance(content, dict):
        if set(content) == {"paths"}:
            return ",".join(
                re.sub("_(.)", lambda a: a[1].upper(), path) for path in content["paths"]
            )
        return {key: content_of(value) for key, value in content.items()}
    return content


def callers_text(mine: str) -> str:
    """Write the file: a caller of one shop, two of all, and one for each right."""
    rights = [right.value for right in Right]

    def one(name: str, may: list[str], whose: str, **more: list[str]) -> str:
        known = more or {"tokens": [sha256(TOKENS[name].encode()).hexdigest()]}
        fields = {**known, "may": may}
        lines = [f"{key} = {value!r}" for key, value in fields.items()]
        return "\n".join([f"[callers.{name}]", *lines, f"organizations = {whose}", ""])

    return "\n".join(
        (
            one("all", rights, '"*"'),
            one("one", rights, f"[{mine}]"),
            one("gone", rights, '"*"'),
            one("booking", ["read", "invalidate"], '"*"', certificates=["booking"]),
            *(one(right, [right], '"*"') for right in rights),
        )
    )


@asynccontextmanager
async def start_secured(
    database: Database, valkey: ValkeyServer, rules: list[str], directory: Path
) -> AsyncIterator[Secured]:
    """Start it: mTLS and callers on both services, Redis over TLS as a user with those rights."""
    authority = trustme.CA()
    issued = {
        name: issue(authority, directory / name, *names, common_name=name)
        for name, names in {
            "cache": ["127.0.0.1"],
            "booking_server": ["127.0.0.1"],
            "booking": [],
            "tester": [],
            "redis": ["127.0.0.1"],
        }.items()
    }
    callers = directory / "callers.toml"
    callers.write_text(callers_text("1"))
    url_file = directory / "redis_url"
    credentials = issued["tester"].channel(issued["cache"])
    async with AsyncExitStack() as stack:
        admin = await stack.enter_async_context(redis.asyncio.from_url(valkey.url))
        said = [f">{REDIS_PASSWORD}" if rule == ">PASSWORD" else rule for rule in rules]
        await admin.execute_command("ACL", "SETUSER", "chairside", *said)
        port = await stack.enter_async_context(tls_before(valkey.port, issued["redis"]))
        url_file.write_text(
            f"rediss://chairside:{REDIS_PASSWORD}@127.0.0.1:{port}/0"
            f"?ssl_ca_certs={issued['redis'].ca}\n"
        )
        cache = ServiceProcess(
            "cache_service",
            {
                "CHAIRSIDE_CACHE_LISTEN": "127.0.0.1:0",
                "CHAIRSIDE_CACHE_METRICS_LISTEN": "127.0.0.1:0",
                "CHAIRSIDE_CACHE_DATABASE_URL": database.cache_url,
                "CHAIRSIDE_CACHE_REDIS_URL_FILE": str(url_file),
                "CHAIRSIDE_CACHE_REDIS_TIMEOUT": "2",
                "CHAIRSIDE_CACHE_WORKERS": "1",
                "CHAIRSIDE_CACHE_CALLERS": str(callers),
                **dict(issued["cache"].variables("CHAIRSIDE_CACHE_", issued["booking"])),
            },
            directory,
            credentials=credentials,
        )
        await stack.enter_async_context(cache)
        booking = ServiceProcess(
            "booking_service",
            {
                "CHAIRSIDE_BOOKING_LISTEN": "127.0.0.1:0",
                "CHAIRSIDE_BOOKING_METRICS_LISTEN": "127.0.0.1:0",
                "CHAIRSIDE_BOOKING_DATABASE_URL": database.booking_url,
                "CHAIRSIDE_BOOKING_CACHE_TARGET": cache.address,
                "CHAIRSIDE_BOOKING_CACHE_CA": str(issued["cache"].ca),
                "CHAIRSIDE_BOOKING_CACHE_CERTIFICATE": str(issued["booking"].certificate),
                "CHAIRSIDE_BOOKING_CACHE_KEY": str(issued["booking"].key),
                "CHAIRSIDE_BOOKING_CALLERS": str(callers),
                "CHAIRSIDE_BOOKING_REFLECTION": "false",
                **dict(issued["booking_server"].variables("CHAIRSIDE_BOOKING_")),
            },
            directory,
            credentials=credentials,
        )
        await stack.enter_async_context(booking)
        secured = Secured(cache, booking, issued, authority, callers)
        secured.mine = await secured.open_shop(None)
        secured.theirs = await secured.open_shop(MARK)
        yield secured
        for channel in secured.channels.values():
            await channel.close()
