"""Readiness: how it is known that a workload can be used."""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from e2e_api.manifests.base import Model, NonEmpty, PortName, as_tuple, field_error
from e2e_api.manifests.texts import HeaderName, HeaderValue, UrlPath
from e2e_api.patterns import compile_pattern
from e2e_api.quantities import Duration


class HttpProbe(Model):
    """Ready when a GET answers with a status in the range and all texts in the body."""

    port: PortName
    path: UrlPath = "/"
    scheme: Literal["HTTP", "HTTPS"] = "HTTP"
    """HTTPS certificates are not verified, as in Kubernetes."""
    status_min: Annotated[int, Field(ge=100, le=599)] = 200
    status_max: Annotated[int, Field(ge=100, le=599)] = 299
    contains: Annotated[tuple[str, ...], BeforeValidator(as_tuple)] = ()
    headers: dict[HeaderName, HeaderValue] = {}

    @model_validator(mode="after")
    def _range(self) -> Self:
        if self.status_min > self.status_max:
            raise field_error("statusMax", f"{self.status_max} is below statusMin, {self.status_min}")
        return self


class TcpProbe(Model):
    """Ready when the program itself (not the engine's port proxy) accepts a connection."""

    port: PortName


class ExecProbe(Model):
    """Ready when the command exits with 0 inside the container."""

    command: Annotated[tuple[str, ...], BeforeValidator(as_tuple), Field(min_length=1)]

    @field_validator("command")
    @classmethod
    def _names_a_program(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value[0]:
            raise ValueError("expected a program's name as the first text, not an empty one")
        return value


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
_PUSHED = {
    "log": "the log is followed, and a line that matched stays",
    "healthcheck": "the image's own HEALTHCHECK has an interval, a timeout and retries",
}
"""Probes that nobody asks: why fields about asking say nothing."""
_OF_ASKING = {"timeout": "timeout", "period": "period", "failure_threshold": "failureThreshold"}


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
    """Between attempts once ready, and up to a tenth more; until then attempts come every 10 to 100 ms."""
    failure_threshold: Annotated[int, Field(ge=1)] = 3
    """Failed attempts in a row that make a ready workload not ready."""

    @property
    def kind(self) -> str:
        """The name of the probe that is set."""
        return next(name for name in PROBES if getattr(self, name) is not None)

    @property
    def probe(self) -> Probe:
        """The one probe that is set."""
        found: Probe = getattr(self, self.kind)
        return found

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = [name for name in PROBES if getattr(self, name) is not None]
        empty = [name for name in PROBES if name in self.model_fields_set and name not in given]
        if empty and not given:
            raise field_error(empty[0], f"is empty; give its fields, or {empty[0]}: {{}} if it needs none")
        if len(given) != 1:
            raise ValueError(f"expected exactly one of {', '.join(PROBES)}; got {', '.join(given) or 'none'}")
        reason = _PUSHED.get(given[0])
        for name, field in _OF_ASKING.items():
            if reason and name in self.model_fields_set:
                raise field_error(field, f"has no effect with {given[0]}: {reason}; leave it out")
        return self
