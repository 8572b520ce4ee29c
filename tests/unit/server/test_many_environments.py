"""200 clients at once, each with an environment of its own."""

import asyncio
from typing import Any

from e2e_api.v1 import environment_service_pb2, manifest_service_pb2

from .conftest import Client, Harness, checked, document, eventually, key

ENVIRONMENTS = [f"env-{number}" for number in range(200)]


async def hold(client: Client, environment: str) -> Any:
    request = environment_service_pb2.HoldRequest(environment=environment, fresh=True)
    call = client.environments.Hold(request)
    await call.read()
    return call


async def apply(client: Client, environment: str) -> None:
    import json

    request = manifest_service_pb2.ApplyRequest(documents=json.dumps(document()), environment=environment)
    await checked(client.manifests.Apply(request, timeout=200))


async def test_each_gets_its_own_and_takes_it_away_again(harness: Harness) -> None:
    async with harness.running() as client:
        holds = await asyncio.gather(*(hold(client, environment) for environment in ENVIRONMENTS))
        await asyncio.gather(*(apply(client, environment) for environment in ENVIRONMENTS))
        await client.wait(*(key("web", environment) for environment in ENVIRONMENTS), timeout=200)
        assert set(harness.engine.networks) == set(ENVIRONMENTS)
        assert len(harness.engine.containers) == len(ENVIRONMENTS)
        assert harness.manager._leases.count() == len(ENVIRONMENTS)
        for call in holds:
            call.cancel()
        await eventually(lambda: not harness.engine.containers and not harness.engine.networks, 200)
        await eventually(lambda: not list((harness.state / "environments").iterdir()))
        await eventually(lambda: not list((harness.state / "leases").iterdir()))
