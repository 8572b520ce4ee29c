"""The parts that the specs of workloads and jobs are made of."""

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints, field_validator, model_validator

from e2e_api.manifests.base import (
    DNS_LABEL,
    AbsolutePath,
    DnsLabel,
    Model,
    NonEmpty,
    PortName,
    PortNumber,
    as_tuple,
    field_error,
)
from e2e_api.quantities import Bytes, Cpus, Duration

_ON_CHANGE = r"^(Recreate|Restart|None|Signal\(SIG[A-Z0-9+-]+\))$"


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
    on_change: Annotated[str, StringConstraints(pattern=_ON_CHANGE)] = "Recreate"
    """What another `content` does: Recreate the container, or write the file into the one that is there and
    Restart it, send it a signal as in `Signal(SIGHUP)`, or do nothing more (None)."""

    @property
    def is_live(self) -> bool:
        """Whether other content is written into the container that is there."""
        return self.on_change != "Recreate"

    @model_validator(mode="before")
    @classmethod
    def _not_yet(cls, value: Any) -> Any:
        if isinstance(value, dict) and "from" in value:
            raise field_error("from", "not supported yet; give the `content`")
        return value

    @field_validator("on_change", mode="before")
    @classmethod
    def _names_what_is_done(cls, value: Any) -> Any:
        if not isinstance(value, str) or not re.match(_ON_CHANGE, value):
            expected = "Recreate, Restart, None or a signal such as Signal(SIGHUP)"
            raise ValueError(f"expected {expected}, not {str(value)[:40]!r}")
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


def _is_path(source: str) -> bool:
    return source.startswith(("/", "./", "../")) or source in (".", "..")


class Dependency(Model):
    """Another object of the environment that must be so far before the container is created."""

    name: DnsLabel
    """Of a workload or job."""
    condition: Literal["Ready", "Completed", "Started"] | None = None
    """Absent: Ready for a workload, Completed for a job."""


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


_Capability = Annotated[str, StringConstraints(pattern=r"^[A-Z_]+$")]


class Security(Model):
    """What the container may do beyond the engine's default."""

    privileged: bool = False
    capabilities: Annotated[tuple[_Capability, ...], BeforeValidator(as_tuple)] = ()
    """To add, such as SYS_ADMIN."""
    userns: Literal["", "host"] = ""


class Stop(Model):
    """How the container is asked to end."""

    signal: Annotated[str, StringConstraints(pattern=r"^(SIG[A-Z0-9+-]+|[0-9]+)$")] = "SIGTERM"
    grace_period: Annotated[Duration, Field(le=3600)] = 30.0
    """Then it is killed."""
