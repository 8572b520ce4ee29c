"""The engine that the tests run on, to look behind the driver's back."""

import os
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager

import docker

from e2e_controller.drivers.docker.endpoint import Endpoint, find_endpoint


def endpoint() -> Endpoint:
    """The engine that the controller finds, too: by variable, context or default."""
    return find_endpoint(os.environ.get("E2E_ENGINE"), os.environ)


@contextmanager
def docker_client(timeout: int = 60) -> Iterator[docker.DockerClient]:
    """A client of that engine."""
    found = endpoint()
    client = docker.DockerClient(base_url=found.url, tls=found.docker_tls(), timeout=timeout)
    with closing(client):
        yield client


def networks_kept(log: str) -> set[str]:
    """Those that an engine of before 23 keeps though they are empty, as a controller's log tells.

    It lost count of their endpoints (moby issue 42119).
    """
    return set(re.findall(r"network (\S+) is empty, but the engine does not remove it", log))
