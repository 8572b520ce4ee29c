"""Random messages to every RPC: an answer or a typed error, never an internal one, never a hang."""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor

from e2e_api.v1 import (
    container_service_pb2,
    environment_service_pb2,
    event_service_pb2,
    manifest_service_pb2,
    metric_service_pb2,
    wait_service_pb2,
)
from tests.unit.server.conftest import Harness, document

from .engine import chances, soak

Record = Callable[[str, object], None]
MODULES = (
    container_service_pb2,
    environment_service_pb2,
    event_service_pb2,
    manifest_service_pb2,
    metric_service_pb2,
    wait_service_pb2,
)
METHODS = [
    method
    for module in MODULES
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]
OUR_FAULT = (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNIMPLEMENTED)
CLIENT_IS_LATE = "Internal error from Core"
"""What the client's own library says when it sends to a call that the server has answered already."""
TEXTS = (
    "", "test", "web", "Workload", "Environment", "File", "../../etc", "a" * 300, "é\u202e", "\0", "%s%n",
    "up", "e2e/v1", "{", '{"kind": "Workload"}', "/", "/etc/passwd", "(a+)+$", "[", "a.json", " ", "NaN",
)  # fmt: skip
NUMBERS = (0, 1, -1, 2, 7, 100, 2**31 - 1, -(2**31))
CORPUS = Path(__file__).parent / "corpus" / "manifests"


def fill(message: Any, dice: random.Random, depth: int = 0) -> Any:
    """Sets some fields to likely and unlikely values."""
    for field in message.DESCRIPTOR.fields:
        if dice.random() < 0.35:
            continue
        if is_map(field):
            for _ in range(dice.randrange(3)):
                getattr(message, field.name)[dice.choice(TEXTS)] = dice.choice(TEXTS)
        elif field.is_repeated:
            for _ in range(dice.randrange(4)):
                add(getattr(message, field.name), field, dice, depth)
        elif field.message_type is not None:
            getattr(message, field.name).SetInParent()
            if depth < 4:
                fill(getattr(message, field.name), dice, depth + 1)
        else:
            setattr(message, field.name, value(field, dice))
    return message


def is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def add(container: Any, field: FieldDescriptor, dice: random.Random, depth: int) -> None:
    if field.message_type is not None:
        fill(container.add(), dice, depth + 1)
    else:
        container.append(value(field, dice))


def value(field: FieldDescriptor, dice: random.Random) -> Any:
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_STRING:
            if field.type == FieldDescriptor.TYPE_BYTES:
                return dice.randbytes(dice.randrange(20))
            if field.name == "documents" and dice.random() < 0.5:
                return dice.choice(sorted(CORPUS.iterdir())).read_text(errors="replace")
            return dice.choice(TEXTS)
        case FieldDescriptor.CPPTYPE_BOOL:
            return dice.random() < 0.5
        case FieldDescriptor.CPPTYPE_DOUBLE | FieldDescriptor.CPPTYPE_FLOAT:
            return dice.choice((0.0, 1.0, -1.5, float("nan"), float("inf"), 1e308))
        case FieldDescriptor.CPPTYPE_ENUM:
            return dice.choice([0, 1, 2, 3, 99])
        case FieldDescriptor.CPPTYPE_UINT32 | FieldDescriptor.CPPTYPE_UINT64:
            return abs(dice.choice(NUMBERS))
    return dice.choice(NUMBERS)


async def call(channel: grpc.aio.Channel, method: MethodDescriptor, payloads: list[bytes]) -> grpc.StatusCode:
    """Sends raw bytes, takes at most a few answers, and gives the status."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    sides = (method.client_streaming, method.server_streaming)
    kind = "_".join("stream" if streams else "unary" for streams in sides)
    make = getattr(channel, kind)(path, request_serializer=None, response_deserializer=None)
    given: Any = payloads[0]
    if method.client_streaming:

        async def stream() -> Any:
            for payload in payloads:
                yield payload

        given = stream()
    begun = make(given, timeout=0.3)
    try:
        if not method.server_streaming:
            await begun
        else:
            async for _ in begun:
                pass
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        return grpc.StatusCode.CANCELLED  # the server's side of the deadline came first
    except grpc.aio.AioRpcError as error:
        if error.details() == CLIENT_IS_LATE:
            return grpc.StatusCode.CANCELLED
        if error.code() in OUR_FAULT:
            raise AssertionError(f"{path} {payloads!r}: {error.code()}: {error.details()}") from error
        return error.code()
    return grpc.StatusCode.OK


def payloads(method: MethodDescriptor, dice: random.Random) -> list[bytes]:
    make = message_factory.GetMessageClass(method.input_type)
    return [fill(make(), dice).SerializeToString() for _ in range(dice.randrange(1, 4))]


async def test_random_messages(tmp_path: Path, record_property: Record) -> None:
    dice, rounds = chances(record_property), soak("MESSAGES", 15)
    harness = Harness(tmp_path)
    statuses: dict[str, int] = {}
    async with harness.running() as client:
        await client.apply(document(ports={"http": 80}, metrics={"port": "http"}))
        await client.wait()
        async with grpc.aio.insecure_channel(harness.manager.addresses[0]) as channel:
            for _ in range(rounds):
                async with asyncio.timeout(60):
                    calls = [call(channel, method, payloads(method, dice)) for method in METHODS]
                    for status in await asyncio.gather(*calls):
                        statuses[status.name] = statuses.get(status.name, 0) + 1
        assert (await client.apply(document("after"))).objects
    record_property("faults", f"{rounds * len(METHODS)} random messages to {len(METHODS)} RPCs: {statuses}")
    assert len(statuses) > 2
