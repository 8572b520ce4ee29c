"""More environments at once than an engine's own address pool has networks for: that ends at about thirty."""

import asyncio
import os
from pathlib import Path

import docker
import pytest

from e2e_controller.drivers.docker import DockerDriver
from tests.contract.bench import Bench

NETWORKS = int(os.environ.get("E2E_TEST_NETWORKS", "40"))
"""`make soak` asks for 200."""


@pytest.mark.timeout(900)
async def test_many_networks_at_once(
    docker_bench: Bench, docker_client: docker.APIClient, state_dir: Path
) -> None:
    driver = DockerDriver(docker_bench.controller_id, state_dir=state_dir, address_pool="10.213.0.0/16")
    environments = [f"{docker_bench.environment}-{number}" for number in range(NETWORKS)]
    try:
        await driver.start()
        made = await asyncio.gather(*(driver.ensure_network(environment) for environment in environments))
        assert len(set(made)) == NETWORKS
        assert list(await driver.list_environments()) == sorted(environments)
        ours = {"label": f"io.e2e.controller={docker_bench.controller_id}"}
        subnets = {found["IPAM"]["Config"][0]["Subnet"] for found in docker_client.networks(filters=ours)}
        assert len(subnets) == NETWORKS
        assert all(subnet.startswith("10.213.") for subnet in subnets)
        await asyncio.gather(*(driver.remove_environment(environment) for environment in environments))
        assert list(await driver.list_environments()) == []
    finally:
        await driver.close()
