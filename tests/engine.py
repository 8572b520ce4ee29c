"""The engine that the tests run on, to look behind the driver's back."""

import os
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
