"""The specs of the kinds."""

from collections.abc import Iterable, Iterator
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from e2e_api.manifests.base import Model, PortName, as_tuple, field_error
from e2e_api.manifests.files import File
from e2e_api.manifests.metrics import Metrics, Profiles
from e2e_api.manifests.parts import (
    Build,
    Dependency,
    Port,
    Resources,
    Security,
    Stop,
    Volume,
)
from e2e_api.manifests.probes import Readiness
from e2e_api.manifests.secrets import Secret, SecretFile, ValueFrom, VariableValue
from e2e_api.manifests.texts import (
    ImageReference,
    LabelName,
    Matching,
    User,
    VariableName,
    is_below,
    normal_path,
)
from e2e_api.quantities import Duration

State = Literal["Running", "Stopped", "Killed", "Paused"]
Words = Annotated[tuple[str, ...], BeforeValidator(as_tuple)]


class ContainerFields(Model):
    """What a container is; workloads and jobs have it in common."""

    image: ImageReference | None = None
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    build: Build | None = None
    entrypoint: Words | None = None
    """Absent: the image's; empty: none."""
    command: Words | None = None
    """Absent: the image's, unless `entrypoint` is given."""
    env: dict[VariableName, VariableValue] = {}
    """Texts, or where they come from."""
    user: User = ""
    working_dir: Annotated[
        str, Matching(r"^(/[^\x00-\x1f\x7f]*)?$", "an absolute path: it begins with /")
    ] = ""
    ports: dict[PortName, Port] = {}
    files: Annotated[tuple[File, ...], BeforeValidator(as_tuple)] = ()
    secret_files: Annotated[tuple[SecretFile, ...], BeforeValidator(as_tuple)] = ()
    volumes: Annotated[tuple[Volume, ...], BeforeValidator(as_tuple)] = ()
    depends_on: Annotated[tuple[Dependency, ...], BeforeValidator(as_tuple)] = ()
    """Objects that the container's creation waits for."""
    resources: Resources = Resources()
    security: Security = Security()
    stop: Stop = Stop()

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """What it needs that it does not hold itself, each once."""
        found = [value.value_from for value in self.env.values() if isinstance(value, ValueFrom)]
        return tuple(dict.fromkeys([*found, *(file.from_ for file in self.secret_files)]))

    @field_validator("env")
    @classmethod
    def _env_names(cls, value: dict[str, VariableValue]) -> dict[str, VariableValue]:
        for name, given in value.items():
            text = given.value_from.value if isinstance(given, ValueFrom) else given
            if text is not None and "\0" in text:
                raise ValueError(f"the value of {name[:40]!r} has a NUL")
        return value

    @field_validator("entrypoint")
    @classmethod
    def _names_a_program(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if value and not value[0]:
            raise ValueError("expected a program's name as the first text, not an empty one; [] is for none")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.image is None) == (self.build is None):
            raise ValueError("expected exactly one of image and build")
        if self.build is not None and "image_pull_policy" in self.model_fields_set:
            raise field_error(
                "imagePullPolicy", "has no effect with build: it is built, not pulled; leave it out"
            )
        check_unique("ports", ((name, _container_port(port)) for name, port in self.ports.items()))
        check_unique("ports", ((name, _host_port(port)) for name, port in self.ports.items()), ".hostPort")
        check_unique("files", _numbered(normal_path(file.path) for file in self.files))
        check_unique("secretFiles", _numbered(normal_path(file.path) for file in self.secret_files))
        check_unique("volumes", _numbered(normal_path(volume.target) for volume in self.volumes))
        check_unique("dependsOn", _numbered(dependency.name for dependency in self.depends_on))
        self._check_files()
        return self

    def _check_files(self) -> None:
        """Whether each can be written beside the others, and where the volumes are."""
        files = {f"files.{number}.path": normal_path(file.path) for number, file in enumerate(self.files)}
        for number, secret in enumerate(self.secret_files):
            path = normal_path(secret.path)
            if path in files.values():
                raise field_error(f"secretFiles.{number}.path", f"{path} stands in files, too")
            files[f"secretFiles.{number}.path"] = path
        for place, path in files.items():
            if above := next(
                (other for other in files.values() if other != path and is_below(path, other)), None
            ):
                raise field_error(place, f"{above} is a file, too: it cannot hold {path}")
            for volume in self.volumes:
                target = normal_path(volume.target)
                if is_below(target, path):
                    raise field_error(place, f"the volume at {target} is in its place")
                if volume.read_only and is_below(path, target):
                    raise field_error(place, f"the volume at {target} is readOnly")

    def _check_port(self, field: str, port: str) -> None:
        if port not in self.ports:
            raise field_error(field, f"port {port!r} is not in ports ({', '.join(self.ports) or 'none'})")
        if self.ports[port].protocol != "tcp":
            raise field_error(field, f"port {port!r} is not tcp")


def check_unique(field: str, values: Iterable[tuple[str, str | None]], below: str = "") -> None:
    """Whether no two parts have the same value, None aside. Each is given with its place in the field."""
    seen = set[str | None]()
    for place, value in values:
        if value in seen and value is not None:
            raise field_error(f"{field}.{place}{below}", f"{value} stands there twice")
        seen.add(value)


def _numbered(values: Iterable[str]) -> Iterator[tuple[str, str]]:
    return ((str(number), value) for number, value in enumerate(values))


def _container_port(port: Port) -> str:
    return f"{port.container_port}/{port.protocol}"


def _host_port(port: Port) -> str | None:
    return f"host port {port.host_port}/{port.protocol}" if port.host_port is not None else None


class WorkloadSpec(ContainerFields):
    """What a workload's container is."""

    readiness: Readiness | None = None
    metrics: Metrics | None = None
    profiles: Profiles | None = None
    restart_policy: Literal["Never", "OnFailure", "Always"] = "Never"
    state: State = "Running"

    @model_validator(mode="after")
    def _asks_its_own_ports(self) -> Self:
        if self.readiness is not None and (port := getattr(self.readiness.probe, "port", None)) is not None:
            self._check_port(f"readiness.{self.readiness.kind}.port", port)
        if self.metrics is not None:
            self._check_port("metrics.port", self.metrics.port)
        if self.profiles is not None:
            self._check_port("profiles.port", self.profiles.port)
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
            if file.reaction not in ("Recreate", "None"):
                message = f"{file.reaction} is for workloads; a job is run again (Recreate) or left (None)"
                raise field_error(f"files.{number}.onChange", message)
        return self


class EnvironmentSpec(Model):
    """Defaults for the environment's objects, and its lifetime."""

    resources: Resources = Resources()
    volumes: Annotated[tuple[Volume, ...], BeforeValidator(as_tuple)] = ()
    """Added to every workload and job."""
    labels: dict[LabelName, str] = {}
    """Added to every workload and job, unless it has the label."""
    ttl: Annotated[Duration, Field(gt=0)] | None = None
    """After that long without a lease, what the API applied is deleted."""
    keep_on_failure: bool = False
    """Keep the environment when its last lease ends while an object has failed, for `ttl` if given."""

    @model_validator(mode="after")
    def _unique_targets(self) -> Self:
        check_unique("volumes", _numbered(normal_path(volume.target) for volume in self.volumes))
        return self
