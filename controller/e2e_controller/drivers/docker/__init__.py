"""The Docker driver; the only package that imports docker."""

from e2e_controller.drivers.docker.driver import DockerDriver

__all__ = ["DockerDriver"]
