"""ContainerService: exec, logs, copies."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from e2e_api.errors import InvalidArgument, NotRunning
from e2e_api.v1 import container_service_pb2 as pb
from e2e_api.v1 import container_service_pb2_grpc
from e2e_controller.drivers.base import Container, ExecSession, ExitCode, Key, Output
from e2e_controller.masking import Mask, masked_inspection, secret_variables
from e2e_controller.server.access import Access
from e2e_controller.server.convert import key_from_proto

_LONGEST_PATH = 4095
_LONGEST_LINE = 2**20
"""Bytes that are held until the line ends."""
_STREAMS = {"stdout": pb.OUTPUT_STREAM_STDOUT, "stderr": pb.OUTPUT_STREAM_STDERR}


class ContainerServicer(container_service_pb2_grpc.ContainerServiceServicer):
    """See `container_service.proto`."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._driver = access.driver

    async def Exec(
        self, request_iterator: AsyncIterator[pb.ExecRequest], context: Any
    ) -> AsyncIterator[pb.ExecResponse]:
        requests = aiter(request_iterator)
        first = await anext(requests, None)
        if first is None or first.WhichOneof("input") != "start" or not first.start.command:
            raise InvalidArgument("the first request must be `start`, with a command")
        start = first.start
        container = await self._access.running(key_from_proto(start.key))
        session = await self._driver.exec(
            container.id,
            list(start.command),
            env=dict(start.env),
            user=start.user,
            working_dir=start.working_dir,
            stdin=start.stdin,
        )
        feeding = asyncio.create_task(_feed(session, requests)) if start.stdin else None
        try:
            async for piece in session:
                yield _exec_response(piece)
        finally:
            if feeding is not None:
                feeding.cancel()
                await asyncio.gather(feeding, return_exceptions=True)
            await session.close()

    async def Logs(self, request: pb.LogsRequest, context: Any) -> AsyncIterator[pb.LogsResponse]:
        key = key_from_proto(request.key)
        container = await self._container(key)
        outputs = self._driver.logs(
            container.id,
            follow=request.follow,
            tail=request.tail if request.HasField("tail") else None,
            since=_moment(request.since) if request.HasField("since") else None,
            timestamps=request.timestamps,
        )
        if request.masked:
            outputs = _masked(outputs, self._access.veil.mask(key.environment))
        async with aclosing(outputs):
            async for output in outputs:
                yield pb.LogsResponse(stream=_STREAMS[output.stream], data=output.data)

    async def CopyIn(
        self, request_iterator: AsyncIterator[pb.CopyInRequest], context: Any
    ) -> pb.CopyInResponse:
        requests = aiter(request_iterator)
        first = await anext(requests, None)
        if first is None or first.WhichOneof("input") != "start" or not first.start.directory.startswith("/"):
            raise InvalidArgument("the first request must be `start`, with an absolute directory")
        _check_path("directory", first.start.directory)
        container = await self._container(key_from_proto(first.start.key))

        async def pieces() -> AsyncIterator[bytes]:
            async for request in requests:
                yield request.tar

        await self._driver.copy_in(container.id, first.start.directory, pieces())
        return pb.CopyInResponse()

    async def CopyOut(self, request: pb.CopyOutRequest, context: Any) -> AsyncIterator[pb.CopyOutResponse]:
        _check_path("path", request.path)
        container = await self._container(key_from_proto(request.key))
        async with aclosing(self._driver.copy_out(container.id, request.path)) as pieces:
            async for piece in pieces:
                yield pb.CopyOutResponse(tar=piece)

    async def Inspect(self, request: pb.InspectRequest, context: Any) -> pb.InspectResponse:
        key = key_from_proto(request.key)
        container = await self._container(key)
        object_ = self._access.store.get(key)
        inspected = masked_inspection(
            await self._driver.describe(container.id),
            self._access.veil.secrets(key.environment),
            secret_variables(object_.manifest if object_ else None),
        )
        return pb.InspectResponse(document=json.dumps(inspected, default=str))

    async def _container(self, key: Key) -> Container:
        """The container, running or not."""
        object_ = await self._access.find(key)
        container = await self._driver.inspect(key)
        if container is None:
            raise NotRunning(f"{key} has no container; its state is {object_.status.summary}")
        return container


async def _masked(outputs: AsyncGenerator[Output, None], mask: Mask) -> AsyncGenerator[Output, None]:
    """Line by line, as a piece may end within a secret."""
    rests: dict[str, Output] = {}
    async with aclosing(outputs):
        async for output in outputs:
            held = rests.pop(output.stream).data if output.stream in rests else b""
            lines, end, rest = (held + output.data).rpartition(b"\n")
            if len(rest) > _LONGEST_LINE:
                lines, end, rest = lines + end + rest, b"", b""
            rests[output.stream] = replace(output, data=rest)
            if whole := lines + end:
                yield replace(output, data=mask.hide(whole))
    for output in rests.values():
        if output.data:
            yield replace(output, data=mask.hide(output.data))


def _check_path(field: str, path: str) -> None:
    """Raises `InvalidArgument` for what can be no path, in the words of which engines differ."""
    if not path or "\0" in path or len(path.encode()) > _LONGEST_PATH:
        message = f"{field}: expected a path in the container, of at most {_LONGEST_PATH} bytes"
        raise InvalidArgument(message, violations=[(field, message)])


def _moment(since: Timestamp) -> datetime:
    try:
        return since.ToDatetime(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidArgument(f"since: expected a time of the years 1 to 9999: {error}") from error


async def _feed(session: ExecSession, requests: AsyncIterator[pb.ExecRequest]) -> None:
    """Passes standard input on, until the client ends it."""
    async for request in requests:
        await session.write(request.stdin)
    await session.close_stdin()


def _exec_response(piece: Output | ExitCode) -> pb.ExecResponse:
    if isinstance(piece, ExitCode):
        return pb.ExecResponse(exit_code=piece.code)
    if piece.stream == "stdout":
        return pb.ExecResponse(stdout=piece.data)
    return pb.ExecResponse(stderr=piece.data)
