"""The options of `env.workload(...)`, `env.job(...)` and of ready-made systems."""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol, TypedDict

from e2e_api.manifests import (
    Build,
    Dependency,
    File,
    Metrics,
    Port,
    Probe,
    Profiles,
    Readiness,
    Resources,
    Secret,
    SecretFile,
    Security,
    Stop,
    Volume,
)


class CommonOptions(TypedDict, total=False):
    """What workloads and jobs, ready-made systems included, may be given. All are optional."""

    env: Mapping[str, str | Secret]
    """Environment variables; a `Secret` is shown nowhere."""
    user: str
    """User, or `user:group`, by name or number."""
    working_dir: str
    files: Mapping[str, str] | Sequence[File]
    """Files that are there before it starts: `{"/etc/app.yml": "text"}`, or `File` values."""
    secret_files: Mapping[str, Secret] | Sequence[SecretFile]
    """Files with secrets: `{"/run/secrets/db": e2e.secret_from_env("PASSWORD")}`, or `SecretFile` values."""
    volumes: Sequence[Volume]
    """Named volumes or host paths; a relative host path is below the working directory."""
    depends_on: Sequence["str | Dependency | Named"]
    """Workloads and jobs that must be ready, or completed, before its container is created."""
    resources: Resources
    """Limits of memory and CPUs."""
    security: Security
    stop: Stop
    """The signal that asks it to end, and how long it may take."""
    grace_period: float
    """Seconds between that signal and the kill; the same as `stop`'s, as a number."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"]
    labels: Mapping[str, str]
    """Of the manifest, and of the container."""


class ContainerOptions(CommonOptions, total=False):
    """What any workload may be given, ready-made systems included. All are optional."""

    restart_policy: Literal["Never", "OnFailure", "Always"]
    startup_timeout: float
    """Seconds from the container's start after which an unready workload has failed."""


class ImageOptions(TypedDict, total=False):
    """What runs; exactly one of `image` and `build` is needed."""

    image: str
    build: Build | str
    """A build, or the folder of one; relative to the working directory."""
    entrypoint: Sequence[str]
    """Absent: the image's; empty: none."""
    command: Sequence[str]
    """Absent: the image's, unless `entrypoint` is given."""
    ports: Mapping[str, int | Port]
    """The ports it listens on, by name."""


class WorkloadOptions(ContainerOptions, ImageOptions, total=False):
    """What a workload is made of."""

    readiness: Readiness | Probe | None
    """How it is known that it can be used; without, it is ready when it runs."""
    metrics: Metrics | str | None
    """Where it serves Prometheus metrics, or just the port's name."""
    profiles: Profiles | str | None
    """Where it serves pprof profiles, or just the port's name."""


class JobOptions(CommonOptions, ImageOptions, total=False):
    """What a job is made of."""

    retries: int
    """How often it is run again after it ended with another exit code than 0."""


class Named(Protocol):
    """A handle on a workload or job."""

    @property
    def name(self) -> str:
        """Its name."""
        ...
