"""Commands in a container, and its output."""

import codecs
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence

from e2e.aio._transport import AsyncTransport
from e2e.values import ExecResult
from e2e_api.errors import E2EError, InvalidArgument
from e2e_api.v1 import container_service_pb2, object_pb2

_PIECE = 64 * 1024


async def run(
    transport: AsyncTransport,
    key: object_pb2.ObjectKey,
    command: Sequence[str],
    *,
    stdin: bytes | None,
    env: Mapping[str, str],
    user: str,
    working_dir: str,
    timeout: float,
) -> ExecResult:
    """Runs a command to its end; with `stdin` None it sees end of file at once."""
    if isinstance(command, str) or not command:
        raise InvalidArgument('command: expected a list of words, such as ["ls", "-l"]')
    start = container_service_pb2.ExecStart(
        key=key, command=command, env=env, user=user, working_dir=working_dir, stdin=stdin is not None
    )
    stdout, stderr = bytearray(), bytearray()
    exit_code: int | None = None
    async with transport.exchange(transport.containers.Exec, _requests(start, stdin), timeout) as responses:
        async for response in responses:
            match response.WhichOneof("output"):
                case "stdout":
                    stdout += response.stdout
                case "stderr":
                    stderr += response.stderr
                case "exit_code":
                    exit_code = response.exit_code
    if exit_code is None:
        raise E2EError(f"the controller did not say how {' '.join(command)!r} ended")
    return ExecResult(tuple(command), exit_code, bytes(stdout), bytes(stderr))


def _requests(
    start: container_service_pb2.ExecStart, stdin: bytes | None
) -> Iterator[container_service_pb2.ExecRequest]:
    yield container_service_pb2.ExecRequest(start=start)
    for offset in range(0, len(stdin or b""), _PIECE):
        yield container_service_pb2.ExecRequest(stdin=(stdin or b"")[offset : offset + _PIECE])


async def output(
    transport: AsyncTransport,
    key: object_pb2.ObjectKey,
    *,
    tail: int | None,
    timeout: float,
    timestamps: bool = False,
) -> str:
    """What the container has written so far, both streams as they came; what is no UTF-8 is replaced.

    Raises WaitTimeout where reading it takes more than `timeout` seconds.
    """
    request = container_service_pb2.LogsRequest(key=key, tail=tail, timestamps=timestamps)
    data = bytearray()
    async with transport.stream(transport.containers.Logs, request, timeout) as responses:
        async for response in responses:
            data += response.data
    return data.decode("utf-8", "replace")


async def followed_lines(
    transport: AsyncTransport, key: object_pb2.ObjectKey, *, tail: int | None, timeout: float | None
) -> AsyncIterator[str]:
    """Lines as they are written, until the container ends; WaitTimeout after `timeout` seconds."""
    request = container_service_pb2.LogsRequest(key=key, follow=True, tail=tail)
    lines: dict[int, _Lines] = {}
    async with transport.stream(transport.containers.Logs, request, timeout) as responses:
        async for response in responses:
            for line in lines.setdefault(response.stream, _Lines()).feed(response.data):
                yield line
    for rest in lines.values():
        for line in rest.feed(b"", final=True):
            yield line


class _Lines:
    """Cuts pieces of one output stream into lines."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    def feed(self, data: bytes, *, final: bool = False) -> Iterable[str]:
        """The lines that are complete now, without their ends."""
        *complete, self._rest = (self._rest + self._decoder.decode(data, final)).split("\n")
        if final and self._rest:
            complete.append(self._rest)
            self._rest = ""
        return [line.removesuffix("\r") for line in complete]
