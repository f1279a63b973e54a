"""BatchGet for servicers of the tests' own: each read is answered by its method."""

import asyncio
from typing import Any

from cache_service.client.reads import READS
from chairside.cache.v1 import cache_service_pb2 as pb
from service_kit.boundary import known_error
from service_kit.calls import Context
from service_kit.status import status_of

__all__ = ["batch_get"]


async def batch_get(
    servicer: Any, request: pb.BatchGetRequest, context: Context
) -> pb.BatchGetResponse:
    """Answer all at once, each with its own outcome; no tags, no process."""

    async def one(read: pb.BatchRead) -> pb.BatchResult:
        field = str(read.WhichOneof("read"))
        method = getattr(servicer, READS[field].name)
        try:
            answer = await method(getattr(read, field), context)
        except Exception as error:  # noqa: BLE001 - the boundary of one read
            return pb.BatchResult(error=status_of(known_error(error, READS[field].name)))
        return pb.BatchResult(**{field: answer})  # type: ignore[arg-type]

    return pb.BatchGetResponse(results=await asyncio.gather(*map(one, request.reads)))
