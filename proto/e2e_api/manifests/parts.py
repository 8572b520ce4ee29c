"""The parts that the specs of workloads and jobs are made of."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from e2e_api.manifests.base import (
    DNS_LABEL,
    DnsLabel,
    Model,
    NonEmpty,
    PortNumber,
    as_tuple,
)
from e2e_api.manifests.texts import (
    AbsolutePath,
    Matching,
    Signal,
    VariableName,
    is_below,
    normal_path,
)
from e2e_api.quantities import Bytes, Cpus, Duration, format_duration

_LEAST_MEMORY = 6 * 2**20
_LONGEST_GRACE = 3600.0


class Build(Model):
    """An image built from a folder, instead of pulled."""

    context: NonEmpty = "."
    """Folder of the build context; relative to the manifest's folder."""
    dockerfile: NonEmpty = "Dockerfile"
    args: dict[VariableName, str] = {}
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


class Volume(Model):
    """A named volume or a host path, mounted into the container."""

    source: Annotated[
        str,
        Matching(
            rf"({DNS_LABEL}|^\.{{0,2}}/.*$|^\.{{1,2}}$)",
            "a volume name (a DNS label) or a path beginning with / or ./",
        ),
    ]
    """A volume's name (kept for the environment's life), or a host path beginning with `/`, `./` or `../`."""
    target: AbsolutePath
    read_only: bool = False

    @property
    def is_host_path(self) -> bool:
        """Whether `source` is a path rather than a name."""
        return _is_path(self.source)

    @field_validator("target")
    @classmethod
    def _can_be_mounted(cls, value: str) -> str:
        normal = normal_path(value)
        if normal == "/" or is_below(normal, "/proc"):
            raise ValueError(f"nothing can be mounted at {normal}: take another folder")
        if ":" in value:
            raise ValueError(f"expected a path without ':', not {value[:80]!r}; for :ro give readOnly: true")
        return value


def _is_path(source: str) -> bool:
    return source.startswith(("/", "./", "../")) or source in (".", "..")


class Dependency(Model):
    """Another object of the environment that must be so far before the container is created."""

    name: DnsLabel
    """Of a workload or job."""
    condition: Literal["Ready", "Completed", "Started"] | None = None
    """Absent: Ready for a workload, Completed for a job."""


class Resources(Model):
    """Limits; absent means none, or the environment's default."""

    memory: Bytes | None = None
    """At least 6Mi, as the engine asks."""
    cpus: Annotated[Cpus, Field(ge=0.01, le=10_000)] | None = None

    @field_validator("memory")
    @classmethod
    def _enough(cls, value: int | None) -> int | None:
        if value is not None and value < _LEAST_MEMORY:
            raise ValueError(f"expected at least 6Mi, which is what the engine asks, not {value} bytes")
        return value


_Capability = Annotated[
    str, Matching(r"^[A-Z][A-Z0-9_]*$", "a capability such as SYS_ADMIN, see capabilities(7)")
]


class Security(Model):
    """What the container may do beyond the engine's default."""

    privileged: bool = False
    capabilities: Annotated[tuple[_Capability, ...], BeforeValidator(as_tuple)] = ()
    """To add, such as SYS_ADMIN."""
    userns: Literal["", "host"] = ""


class Stop(Model):
    """How the container is asked to end."""

    signal: Signal = "SIGTERM"
    grace_period: Duration = 30.0
    """Then it is killed. At most 1h."""

    @field_validator("grace_period")
    @classmethod
    def _ends(cls, value: float) -> float:
        if value > _LONGEST_GRACE:
            raise ValueError(
                f"expected at most {format_duration(_LONGEST_GRACE)}, not {format_duration(value)}"
            )
        return value
