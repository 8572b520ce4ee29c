"""The kinds of manifest, as frozen pydantic models.

Nothing is coerced: an unknown field, a wrong type or a bad name is an error. The published JSON Schema
comes from these models. `parsing` turns a file's text into them, with positions for the errors.
"""

import posixpath
import re
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from e2e_api.patterns import compile_pattern
from e2e_api.quantities import Bytes, Cpus, Duration

API_VERSION: Literal["e2e/v1"] = "e2e/v1"
FIELD_ERROR = "field_error"
"""Type of the errors whose context has the `field` they are about, below the place that was validated."""
DNS_LABEL = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"

DnsLabel = Annotated[str, StringConstraints(pattern=DNS_LABEL)]
NonEmpty = Annotated[str, StringConstraints(min_length=1)]
PortNumber = Annotated[int, Field(ge=1, le=65535)]
AbsolutePath = Annotated[str, StringConstraints(pattern=r"^/")]
PortName = DnsLabel


def _field_error(field: str, message: str) -> PydanticCustomError:
    context = {"top": field.partition(".")[0], "field": field, "message": message}
    return PydanticCustomError(FIELD_ERROR, "{top}: {message}", context)


def _is_path(source: str) -> bool:
    return source.startswith(("/", "./", "../")) or source in (".", "..")


class Model(BaseModel):
    """Base of all parts: frozen, strict, camelCase in manifests."""

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", alias_generator=to_camel, populate_by_name=True
    )


class Build(Model):
    """An image built from a folder, instead of pulled."""

    context: NonEmpty = "."
    """Folder of the build context; relative to the manifest's folder."""
    dockerfile: NonEmpty = "Dockerfile"
    args: dict[str, str] = {}
    target: str = ""


class Port(Model):
    """One port that the container listens on."""

    container_port: PortNumber
    host_port: PortNumber | None = None
    """Absent: a free port is chosen, and stays the same over restarts."""
    protocol: Literal["tcp", "udp"] = "tcp"

    @model_validator(mode="before")
    @classmethod
    def _from_number(cls, value: Any) -> Any:
        if isinstance(value, int) and not isinstance(value, bool):
            return {"containerPort": value}
        if isinstance(value, dict | Port):
            return value
        given = str(value)[:40]
        raise ValueError(f"expected a port number, or a mapping with containerPort, not {given!r}")


class File(Model):
    """A file that is in the container before it starts."""

    path: AbsolutePath
    content: str
    mode: Annotated[int, Field(ge=0, le=0o7777)] = 0o644
    on_change: Literal["Recreate"] = "Recreate"

    @model_validator(mode="before")
    @classmethod
    def _not_yet(cls, value: Any) -> Any:
        if isinstance(value, dict):
            if "from" in value:
                raise _field_error("from", "not supported yet; give the `content`")
            change = value.get("onChange", "Recreate")
            if change in ("Restart", "Signal", "None", None) or str(change).startswith("Signal("):
                raise _field_error("onChange", f"{change} is not supported yet; only Recreate is")
        return value


class Volume(Model):
    """A named volume or a host path, mounted into the container."""

    source: NonEmpty
    """A volume's name (kept for the environment's life), or a host path beginning with `/`, `./` or `../`."""
    target: AbsolutePath
    read_only: bool = False

    @property
    def is_host_path(self) -> bool:
        """Whether `source` is a path rather than a name."""
        return _is_path(self.source)

    @field_validator("source")
    @classmethod
    def _name_or_path(cls, value: str) -> str:
        if _is_path(value) or re.fullmatch(DNS_LABEL, value):
            return value
        raise ValueError("expected a volume name (a DNS label) or a path beginning with / or ./")


class HttpProbe(Model):
    """Ready when a GET answers with a status in the range and all texts in the body."""

    port: PortName
    path: Annotated[str, StringConstraints(pattern=r"^/")] = "/"
    scheme: Literal["HTTP", "HTTPS"] = "HTTP"
    """HTTPS certificates are not verified, as in Kubernetes."""
    status_min: Annotated[int, Field(ge=100, le=599)] = 200
    status_max: Annotated[int, Field(ge=100, le=599)] = 299
    contains: tuple[str, ...] = ()
    headers: dict[str, str] = {}

    @field_validator("contains", mode="before")
    @classmethod
    def _tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value


class TcpProbe(Model):
    """Ready when the program itself (not the engine's port proxy) accepts a connection."""

    port: PortName


class ExecProbe(Model):
    """Ready when the command exits with 0 inside the container."""

    command: Annotated[tuple[str, ...], Field(min_length=1)]

    @field_validator("command", mode="before")
    @classmethod
    def _tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value


class GrpcProbe(Model):
    """Ready when `grpc.health.v1.Health/Check` answers SERVING."""

    port: PortName
    service: str = ""


class LogProbe(Model):
    """Ready when a line of the output, since the container's start, matches."""

    pattern: NonEmpty
    """A regular expression in RE2's syntax, searched in each line."""
    count: Annotated[int, Field(ge=1)] = 1

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, value: str) -> str:
        compile_pattern(value)
        return value


class HealthcheckProbe(Model):
    """Ready when the image's own HEALTHCHECK says healthy."""


Probe = HttpProbe | TcpProbe | ExecProbe | GrpcProbe | LogProbe | HealthcheckProbe
PROBES = ("http", "tcp", "exec", "grpc", "log", "healthcheck")


class Readiness(Model):
    """How it is known that the workload can be used; exactly one probe."""

    http: HttpProbe | None = None
    tcp: TcpProbe | None = None
    exec: ExecProbe | None = None
    grpc: GrpcProbe | None = None
    log: LogProbe | None = None
    healthcheck: HealthcheckProbe | None = None
    timeout: Annotated[Duration, Field(gt=0)] = 1.0
    """Of one attempt."""
    startup_timeout: Annotated[Duration, Field(gt=0)] = 60.0
    """From the container's start; then the workload has failed."""
    period: Annotated[Duration, Field(ge=0.01)] = 10.0
    """Between attempts once ready; until then attempts come every 10 to 100 ms."""
    failure_threshold: Annotated[int, Field(ge=1)] = 3
    """Failed attempts in a row that make a ready workload not ready."""

    @property
    def probe(self) -> Probe:
        """The one probe that is set."""
        found: Probe = next(probe for name in PROBES if (probe := getattr(self, name)) is not None)
        return found

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = [name for name in PROBES if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"expected exactly one of {', '.join(PROBES)}; got {', '.join(given) or 'none'}")
        return self


class Metrics(Model):
    """Where the workload serves Prometheus metrics; makes it instrumented."""

    port: PortName
    path: Annotated[str, StringConstraints(pattern=r"^/")] = "/metrics"
    scheme: Literal["http", "https"] = "http"


class Resources(Model):
    """Limits; absent means none, or the environment's default."""

    memory: Annotated[Bytes, Field(ge=6 * 2**20)] | None = None
    """At least 6Mi, as the engine asks."""
    cpus: Annotated[Cpus, Field(ge=0.01)] | None = None


class Security(Model):
    """What the container may do beyond the engine's default."""

    privileged: bool = False
    capabilities: tuple[Annotated[str, StringConstraints(pattern=r"^[A-Z_]+$")], ...] = ()
    """To add, such as SYS_ADMIN."""
    userns: Literal["", "host"] = ""

    @field_validator("capabilities", mode="before")
    @classmethod
    def _tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value


class Stop(Model):
    """How the container is asked to end."""

    signal: Annotated[str, StringConstraints(pattern=r"^(SIG[A-Z0-9+-]+|[0-9]+)$")] = "SIGTERM"
    grace_period: Annotated[Duration, Field(le=3600)] = 30.0
    """Then it is killed."""


State = Literal["Running", "Stopped", "Killed", "Paused"]


class WorkloadSpec(Model):
    """What a workload's container is."""

    image: NonEmpty | None = None
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    build: Build | None = None
    entrypoint: tuple[str, ...] | None = None
    """Absent: the image's; empty: none."""
    command: tuple[str, ...] | None = None
    """Absent: the image's, unless `entrypoint` is given."""
    env: dict[NonEmpty, str] = {}
    user: str = ""
    working_dir: str = ""
    ports: dict[PortName, Port] = {}
    files: tuple[File, ...] = ()
    volumes: tuple[Volume, ...] = ()
    readiness: Readiness | None = None
    metrics: Metrics | None = None
    resources: Resources = Resources()
    security: Security = Security()
    restart_policy: Literal["Never", "OnFailure", "Always"] = "Never"
    stop: Stop = Stop()
    state: State = "Running"

    @model_validator(mode="before")
    @classmethod
    def _not_yet(cls, value: Any) -> Any:
        if isinstance(value, dict) and "dependsOn" in value:
            message = "not supported yet; wait for the dependency before you apply this"
            raise _field_error("dependsOn", message)
        return value

    @field_validator("entrypoint", "command", "files", "volumes", mode="before")
    @classmethod
    def _tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

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
        probe = self.readiness.probe if self.readiness else None
        kind = next((name for name in PROBES if self.readiness and getattr(self.readiness, name)), "")
        for field, port in (
            (f"readiness.{kind}.port", getattr(probe, "port", None)),
            ("metrics.port", getattr(self.metrics, "port", None)),
        ):
            if port is not None and port not in self.ports:
                known = ", ".join(self.ports) or "none"
                raise _field_error(field, f"port {port!r} is not in ports ({known})")
            if port is not None and self.ports[port].protocol != "tcp":
                raise _field_error(field, f"port {port!r} is not tcp")
        self._check_unique()
        return self

    def _check_unique(self) -> None:
        numbers = [f"{port.container_port}/{port.protocol}" for port in self.ports.values()]
        paths = [posixpath.normpath(file.path) for file in self.files]
        targets = [posixpath.normpath(volume.target) for volume in self.volumes]
        for what, values in (("ports", numbers), ("files", paths), ("volumes", targets)):
            twice = next((value for value in values if values.count(value) > 1), None)
            if twice is not None:
                raise _field_error(what, f"{twice} stands there twice")


class Metadata(Model):
    """Names an object."""

    name: DnsLabel
    environment: DnsLabel | None = None
    """Default: the first-level folder's name, else `default`."""
    labels: dict[NonEmpty, str] = {}


class Workload(Model):
    """A container that is meant to keep running."""

    api_version: Literal["e2e/v1"] = API_VERSION
    kind: Literal["Workload"] = "Workload"
    metadata: Metadata
    spec: WorkloadSpec


class EnvironmentSpec(Model):
    """Defaults for the environment's objects, and its lifetime."""

    resources: Resources = Resources()
    volumes: tuple[Volume, ...] = ()
    """Added to every workload."""
    labels: dict[NonEmpty, str] = {}
    """Added to every workload, unless it has the label."""
    ttl: Annotated[Duration, Field(gt=0)] | None = None
    """After that long without a lease, what the API applied is deleted."""
    keep_on_failure: bool = False
    """Keep the environment when its last lease ends while an object has failed, for `ttl` if given."""

    @field_validator("volumes", mode="before")
    @classmethod
    def _tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value


class Environment(Model):
    """An isolated network, a shared directory, and the objects in it."""

    api_version: Literal["e2e/v1"] = API_VERSION
    kind: Literal["Environment"] = "Environment"
    metadata: Metadata
    spec: EnvironmentSpec = EnvironmentSpec()

    @model_validator(mode="after")
    def _own_environment(self) -> Self:
        if self.metadata.environment not in (None, self.metadata.name):
            raise _field_error("metadata.environment", "leave it out, an Environment is its own")
        return self


Manifest = Workload | Environment
KINDS: dict[str, type[Workload] | type[Environment]] = {"Workload": Workload, "Environment": Environment}


def environment_of(manifest: Manifest) -> str | None:
    """The environment that the manifest names, if it does."""
    own = manifest.metadata.name if isinstance(manifest, Environment) else None
    return own or manifest.metadata.environment


def to_document(manifest: Manifest) -> dict[str, Any]:
    """The manifest as it was written: what nobody gave is left out."""
    written = manifest.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return {"apiVersion": manifest.api_version, "kind": manifest.kind, **written}


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of one document, for editors."""
    adapter: TypeAdapter[Manifest] = TypeAdapter(Annotated[Manifest, Field(discriminator="kind")])
    schema = adapter.json_schema(by_alias=True)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "e2e manifest"
    for name in KINDS:
        schema["$defs"][name]["required"] = sorted({*schema["$defs"][name]["required"], "apiVersion", "kind"})
    schema["$defs"]["Port"] = {
        "anyOf": [{"type": "integer", "minimum": 1, "maximum": 65535}, schema["$defs"]["Port"]]
    }
    return schema
