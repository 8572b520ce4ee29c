"""The specs of the kinds."""

import posixpath
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from e2e_api.manifests.base import Model, NonEmpty, PortName, as_tuple, field_error
from e2e_api.manifests.parts import (
    Build,
    Dependency,
    File,
    Metrics,
    Port,
    Resources,
    Security,
    Stop,
    Volume,
)
from e2e_api.manifests.probes import Readiness
from e2e_api.quantities import Duration

State = Literal["Running", "Stopped", "Killed", "Paused"]
Words = Annotated[tuple[str, ...], BeforeValidator(as_tuple)]


class ContainerFields(Model):
    """What a container is; workloads and jobs have it in common."""

    image: NonEmpty | None = None
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    build: Build | None = None
    entrypoint: Words | None = None
    """Absent: the image's; empty: none."""
    command: Words | None = None
    """Absent: the image's, unless `entrypoint` is given."""
    env: dict[NonEmpty, str] = {}
    user: str = ""
    working_dir: str = ""
    ports: dict[PortName, Port] = {}
    files: Annotated[tuple[File, ...], BeforeValidator(as_tuple)] = ()
    volumes: Annotated[tuple[Volume, ...], BeforeValidator(as_tuple)] = ()
    depends_on: Annotated[tuple[Dependency, ...], BeforeValidator(as_tuple)] = ()
    """Objects that the container's creation waits for."""
    resources: Resources = Resources()
    security: Security = Security()
    stop: Stop = Stop()

    @field_validator("env")
    @classmethod
    def _env_names(cls, value: dict[str, str]) -> dict[str, str]:
        for name, text in value.items():
            if "=" in name or "\0" in name + text:
                raise ValueError(f"{name[:40]!r} is not a variable's name, or its value has a NUL")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.image is None) == (self.build is None):
            raise ValueError("expected exactly one of image and build")
        self._check_unique()
        return self

    def _check_port(self, field: str, port: str) -> None:
        if port not in self.ports:
            raise field_error(field, f"port {port!r} is not in ports ({', '.join(self.ports) or 'none'})")
        if self.ports[port].protocol != "tcp":
            raise field_error(field, f"port {port!r} is not tcp")

    def _check_unique(self) -> None:
        numbers = [f"{port.container_port}/{port.protocol}" for port in self.ports.values()]
        paths = [posixpath.normpath(file.path) for file in self.files]
        targets = [posixpath.normpath(volume.target) for volume in self.volumes]
        names = [dependency.name for dependency in self.depends_on]
        for what, values in (
            ("ports", numbers),
            ("files", paths),
            ("volumes", targets),
            ("dependsOn", names),
        ):
            twice = next((value for value in values if values.count(value) > 1), None)
            if twice is not None:
                raise field_error(what, f"{twice} stands there twice")


class WorkloadSpec(ContainerFields):
    """What a workload's container is."""

    readiness: Readiness | None = None
    metrics: Metrics | None = None
    restart_policy: Literal["Never", "OnFailure", "Always"] = "Never"
    state: State = "Running"

    @model_validator(mode="after")
    def _asks_its_own_ports(self) -> Self:
        if self.readiness is not None and (port := getattr(self.readiness.probe, "port", None)) is not None:
            self._check_port(f"readiness.{self.readiness.kind}.port", port)
        if self.metrics is not None:
            self._check_port("metrics.port", self.metrics.port)
        return self


class JobSpec(ContainerFields):
    """What a job's container is, and how often it is tried."""

    retries: Annotated[int, Field(ge=0, le=1000)] = 0
    """How often it is run again, in a new container, after it ended with another exit code than 0."""
    run_id: Annotated[str, Field(max_length=63)] = ""
    """Any text; another one makes a job that has ended run again."""

    @model_validator(mode="after")
    def _is_not_changed_while_it_runs(self) -> Self:
        for number, file in enumerate(self.files):
            if file.on_change not in ("Recreate", "None"):
                message = f"{file.on_change} is for workloads; a job is run again (Recreate) or left (None)"
                raise field_error(f"files.{number}.onChange", message)
        return self


class EnvironmentSpec(Model):
    """Defaults for the environment's objects, and its lifetime."""

    resources: Resources = Resources()
    volumes: Annotated[tuple[Volume, ...], BeforeValidator(as_tuple)] = ()
    """Added to every workload and job."""
    labels: dict[NonEmpty, str] = {}
    """Added to every workload and job, unless it has the label."""
    ttl: Annotated[Duration, Field(gt=0)] | None = None
    """After that long without a lease, what the API applied is deleted."""
    keep_on_failure: bool = False
    """Keep the environment when its last lease ends while an object has failed, for `ttl` if given."""
