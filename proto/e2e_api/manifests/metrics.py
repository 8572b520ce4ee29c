"""Where a workload serves Prometheus metrics and pprof profiles, and how they are asked for."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, field_validator, model_validator

from e2e_api.manifests.base import Model, NonEmpty, PortName, field_error
from e2e_api.manifests.texts import SecretText, UrlPath


class BasicAuth(Model):
    """A name and a password, as HTTP's basic authentication sends them."""

    model_config = ConfigDict(hide_input_in_errors=True)

    username: str
    password: SecretText = Field(default="", repr=False)

    @field_validator("username")
    @classmethod
    def _can_be_sent(cls, value: str) -> str:
        if ":" in value:
            raise ValueError("expected a name without ':', which separates it from the password")
        return value


class Tls(Model):
    """How the server's certificate is verified; without, it is not."""

    ca: str | None = None
    """Certificates of the authorities to trust, in PEM; absent: those of the controller's machine."""
    server_name: NonEmpty | None = None
    """What the certificate must be for; absent: the workload's name."""
    insecure_skip_verify: bool = False
    """Take any certificate."""

    @field_validator("ca")
    @classmethod
    def _is_pem(cls, value: str | None) -> str | None:
        if value is not None:
            import ssl  # as slow as all the rest of this package

            try:
                ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=value)
            except (ssl.SSLError, ValueError):
                raise ValueError(
                    "expected certificates in PEM: -----BEGIN CERTIFICATE----- and what follows it"
                ) from None
        return value

    @model_validator(mode="after")
    def _is_used(self) -> Self:
        if self.insecure_skip_verify and self.ca is not None:
            raise field_error("ca", "has no effect with insecureSkipVerify; leave one of them out")
        return self


def _of_fields(value: Any) -> Any:
    """Before pydantic has its say: what was given instead may be the password."""
    if value is None or isinstance(value, dict | BasicAuth):
        return value
    raise ValueError("expected a mapping with username and password")


class Metrics(Model):
    """Where the workload serves Prometheus metrics; makes it instrumented."""

    model_config = ConfigDict(hide_input_in_errors=True)

    port: PortName
    path: UrlPath = "/metrics"
    scheme: Literal["http", "https"] = "http"
    basic_auth: Annotated[BasicAuth | None, BeforeValidator(_of_fields)] = None
    bearer_token: SecretText | None = Field(default=None, repr=False)
    tls: Tls | None = None
    """For the scheme https. Absent: the certificate is not verified."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.basic_auth is not None and self.bearer_token is not None:
            raise field_error("bearerToken", "expected one of basicAuth and bearerToken, not both")
        if self.tls is not None and self.scheme != "https":
            raise field_error("tls", "has no effect with scheme: http; give scheme: https, or leave it out")
        return self


class Profiles(Model):
    """Where the workload serves pprof profiles; makes it profiled."""

    port: PortName
    path: UrlPath = "/debug/pprof"
    scheme: Literal["http", "https"] = "http"
