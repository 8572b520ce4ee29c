"""The parts that the specs of workloads and jobs are made of."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from e2e_api.manifests.base import (
    DNS_LABEL,
    DnsLabel,
    Model,
    NonEmpty,
    PortNumber,
    as_tuple,
    field_error,
)
from e2e_api.manifests.texts import (
    AbsolutePath,
    Matching,
    OnChange,
    Signal,
    VariableName,
    is_below,
    normal_path,
)
from e2e_api.quantities import Bytes, Cpus, Duration, format_duration

_HIDDEN = ("/proc", "/sys", "/dev", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf")
"""Where the engine puts its own over whatever is there."""
_DECIMAL_MODES = (550, 555, 600, 640, 644, 660, 664, 666, 700, 750, 755, 775, 777)
"""Modes that nobody means, as octal they are 1046 and more: permissions whose leading 0 was forgotten."""
_LEAST_MEMORY = 6 * 2**20
_LONGEST_GRACE = 3600.0


Rendered = Literal["MetricTargets", "ProfileTargets"]
"""What the text of a file may be rendered from."""


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


class File(Model):
    """A file that is in the container before it starts."""

    path: AbsolutePath
    content: str | None = None
    """Its text; or else `from` says what it is rendered from."""
    from_: Rendered | None = Field(default=None, alias="from")
    """Kept current by the controller, in Prometheus' `file_sd` format: the environment's workloads that have
    `metrics` (MetricTargets) or `profiles` (ProfileTargets)."""
    mode: Annotated[int, Field(ge=0, le=0o7777)] = 0o644
    on_change: OnChange | None = None
    """What another text does: Recreate the container, or write the file into the one that is there and
    Restart it, send it a signal as in `Signal(SIGHUP)`, or do nothing more (None).
    Absent: Recreate for a `content`, None with `from`."""

    @property
    def reaction(self) -> str:
        """What another text does."""
        return self.on_change or ("Recreate" if self.from_ is None else "None")

    @property
    def is_live(self) -> bool:
        """Whether other text is written into the container that is there."""
        return self.reaction != "Recreate"

    @model_validator(mode="after")
    def _has_a_text(self) -> Self:
        if self.content is None and self.from_ is None:
            raise field_error("content", "is missing; or give `from`: MetricTargets or ProfileTargets")
        if self.content is not None and self.from_ is not None:
            raise field_error("content", f"comes from {self.from_}: leave it out, or `from`")
        if self.from_ is not None and not self.is_live:
            message = f"a file from {self.from_} is written into the container that is there: expected None, "
            raise field_error("onChange", f"{message}Restart or a signal, not Recreate")
        return self

    @field_validator("path")
    @classmethod
    def _can_be_a_file(cls, value: str) -> str:
        normal = normal_path(value)
        if normal == "/" or value.endswith(("/", "/.", "/..")):
            raise ValueError(f"expected the path of a file, not of a folder: {value!r}")
        if hiding := next((folder for folder in _HIDDEN if is_below(normal, folder)), None):
            raise ValueError(f"would not be seen: the engine puts its own {hiding} over the image's")
        return value

    @field_validator("mode")
    @classmethod
    def _is_octal(cls, value: int) -> int:
        if value in _DECIMAL_MODES:
            raise ValueError(f"{value} is {value:#o}: write 0{value} in YAML, {int(str(value), 8)} in JSON")
        return value


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
