"""What clients of the server do to it: watchers that do not read, and messages that mean nothing."""

import asyncio
from pathlib import Path

import grpc
import pytest

from e2e_api.v1 import manifest_service_pb2, manifest_service_pb2_grpc
from tests.unit.server.conftest import Client, Harness, document, eventually, key

CHANGES = 60
PADDING = "x" * 20_000
"""Makes each message so large that what nobody reads soon fills the connection."""


@pytest.fixture
def harness(tmp_path: Path) -> Harness:
    return Harness(tmp_path)


async def test_a_watcher_that_does_not_read_misses_no_last_state_and_slows_nobody(harness: Harness) -> None:
    """The slow one has a connection of its own, as another process would."""
    async with harness.running() as client:
        await client.apply(document(env={"PADDING": PADDING}))
        await client.wait()
        async with grpc.aio.insecure_channel(
            harness.manager.addresses[0], [("grpc.http2.lookahead_bytes", 0)]
        ) as channel:
            stub = manifest_service_pb2_grpc.ManifestServiceStub(channel)
            slow = stub.Watch(manifest_service_pb2.WatchRequest(environment="test"))
            assert (await slow.read()).object.key.environment == "test"
            for number in range(CHANGES):
                await client.apply(document(env={"PADDING": PADDING, "NUMBER": str(number)}))
                await client.wait()
            last = await client.get()
            seen, read = 0, 0
            async with asyncio.timeout(60):
                while seen < last.version:
                    change = await slow.read()
                    read += 1
                    if change.object.key == key():
                        assert change.object.version > seen, "older than what was told before"
                        seen = change.object.version
            assert f'"NUMBER": "{CHANGES - 1}"' in change.object.document
            slow.cancel()
        await eventually(lambda: len(harness.manager._store._subscriptions) == 1)  # the leases' own


async def test_many_watchers_that_do_not_read_hold_no_wait_up(harness: Harness) -> None:
    async with harness.running() as client:
        async with grpc.aio.insecure_channel(harness.manager.addresses[0]) as channel:
            stub = manifest_service_pb2_grpc.ManifestServiceStub(channel)
            watchers = [stub.Watch(manifest_service_pb2.WatchRequest()) for _ in range(50)]
            for watcher in watchers:
                await watcher.read()
            for number in range(10):
                await client.apply(document(env={"PADDING": PADDING, "NUMBER": str(number)}))
                await client.wait()
            for watcher in watchers:
                watcher.cancel()
        await eventually(lambda: len(harness.manager._store._subscriptions) == 1)  # the leases' own
        assert await alive(client)


async def alive(client: Client) -> bool:
    return bool((await client.get()).key.name)
