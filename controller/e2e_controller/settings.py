"""Every option of the controller: as flag, as variable `E2E_...`, in a YAML file; in that order of weight."""

import ipaddress
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import (
    BaseSettings,
    CliSuppress,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from e2e_api.manifests import DnsLabel
from e2e_api.places import default_state_folder
from e2e_api.quantities import parse_duration
from e2e_controller.exposure import check_address
from e2e_controller.policy import load_policy
from e2e_controller.settings_file import find_settings_file, read_settings_file


def _seconds(value: Any) -> Any:
    """`10s`, `250ms`, or a number of seconds."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return parse_duration(value)


def _list(value: Any) -> Any:
    return [part for part in value.split(",") if part] if isinstance(value, str) else value


def _absolute(value: Path) -> Path:
    """Without `..`, as paths are compared; links stay, as a folder may be swapped by one."""
    return Path(os.path.abspath(value))  # noqa: PTH100 - there is no other way that keeps links


FolderPath = Annotated[Path, AfterValidator(_absolute)]
Seconds = Annotated[float, BeforeValidator(_seconds)]


def describe(error: ValidationError) -> str:
    """What is wrong with the settings, a line for each."""
    return "\n".join(
        f"--{str(item['loc'][0]).replace('_', '-')}: {item['msg'].removeprefix('Value error, ')}"
        for item in error.errors(include_url=False, include_input=False)
    )


class Settings(BaseSettings):
    """Keeps containers in the state that manifests ask for, and serves waits over gRPC."""

    model_config = SettingsConfigDict(
        env_prefix="E2E_",
        env_ignore_empty=True,
        cli_prog_name="e2e-controller",
        cli_kebab_case=True,
        cli_implicit_flags=True,
        cli_avoid_json=True,
        extra="forbid",
    )

    config: Path | None = Field(
        None, description="YAML file with any of these settings; keys as the flags, with _ for -."
    )
    folder: Annotated[list[FolderPath], NoDecode, BeforeValidator(_list)] = Field(
        [], description="Folder of manifests to watch; may be given several times. It may be read-only."
    )
    engine: str = Field("", description="Engine's address; default: as the docker CLI finds it.")
    state_dir: FolderPath = Field(
        default_factory=lambda data: default_state_folder(os.environ, data.get("engine", "")),
        validate_default=True,
        description="Where applied manifests and the environments' shared directories are kept. "
        "Default: ~/.local/state/e2e, with a suffix where an engine is named.",
    )
    secrets_dir: FolderPath | None = Field(
        None,
        description="Folder of files that manifests may take secrets from. "
        "Everybody who may apply manifests can use every file in it.",
    )
    insecure: bool = Field(
        False,
        description="Listen beyond loopback even without TLS or without a token; it warns at each start.",
    )
    tls_cert: FolderPath | None = Field(
        None,
        description="The server's certificate with its chain, in PEM. With it, all TCP is served over TLS.",
    )
    tls_key: FolderPath | None = Field(
        None, validate_default=True, description="The certificate's private key, in PEM."
    )
    tls_client_ca: FolderPath | None = Field(
        None,
        description="CA certificates in PEM. gRPC clients must then show a certificate "
        "that one of them signed.",
    )
    token: CliSuppress[SecretStr] = Field(
        SecretStr(""), description="A token that may do everything; set as a variable only."
    )
    token_file: FolderPath | None = Field(None, description="File with one token, which may do everything.")
    tokens: FolderPath | None = Field(
        None,
        description="YAML file with several tokens: a list, each with a name, one of token, tokenFile and "
        "sha256, and, if it may not do everything, environments (prefixes of their names) or readOnly.",
    )
    policy: str = Field(
        "",
        description="What manifests may ask for: permissive, restricted, or a YAML file with rules. Default: "
        "restricted where it listens on TCP or runs in a container, else permissive.",
    )
    listen: Annotated[list[str], NoDecode, BeforeValidator(_list)] = Field(
        [],
        description="gRPC address, unix:///path or host:port; may be given several times. "
        "Default: controller.sock in the state folder.",
    )
    http: str = Field("", description="host:port of /metrics, /healthz and /readyz; empty: not served.")
    health_socket: FolderPath | None = Field(
        None,
        description="Unix socket that tells whether the controller can do its work; "
        "for a container's health check.",
    )
    max_connections: int = Field(
        500, ge=1, description="The most connections at once to each TCP address of gRPC."
    )
    calls_per_client: int = Field(
        1_000,
        ge=1,
        description="The most calls at once with one token over TCP. "
        "Without tokens, of all clients together.",
    )
    call_rate: float = Field(
        500.0, ge=0, description="The most calls a second, counted as --calls-per-client; 0: no limit."
    )
    stall_timeout: Seconds = Field(
        120.0,
        gt=0,
        description="After how long a client over TCP is cut off that does not read what it asked for, "
        "or does not finish its request.",
    )
    engine_timeout: Seconds = Field(60.0, gt=0, description="Longest time for one call to the engine.")
    engine_parallelism: int = Field(16, ge=1, le=256, description="Calls to the engine at once.")
    publish_address: str = Field(
        "",
        description="Address of the engine's machine that workloads' ports bind to. Default: loopback; "
        "for an engine at tcp:// on another machine, the address by which it is reached.",
    )
    address_pool: str = Field("10.201.0.0/16", description="Address range of the environments' networks.")
    subnet_prefix: int = Field(24, ge=8, le=29, description="Prefix length of one environment's network.")
    image_mirror: str = Field(
        "",
        pattern=r"^([a-zA-Z0-9.-]+(:[0-9]+)?(/[a-z0-9._/-]+)?)?$",
        description="Registry to pull all images from, by their whole names: mirror.local:5000 has "
        "quay.io/x/y:1 as mirror.local:5000/quay.io/x/y:1. Builds and digests go to the images' own.",
    )
    controller_id: str = Field(
        "", pattern="^[a-z0-9-]{0,40}$", description="Owner label on all objects; default: by state folder."
    )
    default_environment: DnsLabel = Field("default", description="For manifests that name none.")
    workers: int = Field(
        512, ge=1, le=4096, description="Objects worked on at once, those that wait for a pull included."
    )
    rescan_interval: Seconds = Field(5.0, gt=0, description="Between full looks at the folders.")
    resync_interval: Seconds = Field(60.0, gt=0, description="Between full looks at the engine.")
    lease_grace: Seconds = Field(2.0, ge=0, description="From the last lease's end to deletion.")
    recovery_grace: Seconds = Field(
        10.0, ge=0, description="From a restart to the end of leases of before it whose clients stay away."
    )
    keepalive: Seconds = Field(
        10.0,
        ge=0.1,
        description="A client that is silent for so long is asked for a sign of life; "
        "without one within half of that time it loses its leases.",
    )
    collect_garbage: Literal["orphaned", "stopped", "none"] = Field(
        "orphaned",
        description="At start, remove what controllers of this machine left whose state folder "
        "is gone, and what clients held of those that do not run; `stopped`: all that the latter left.",
    )
    idle_timeout: Seconds = Field(0.0, ge=0, description="Exit after being unused for so long; 0: never.")
    delete_on_exit: bool = Field(
        False, description="Delete all containers, networks and directories when it is stopped."
    )
    ready_fd: CliSuppress[int] = Field(-1, description="Descriptor to tell `ready` once it serves.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least to log.")
    log_format: Literal["text", "json"] = Field("text", description="How to log.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, then variables, then the file. Raises `SettingsError`."""
        file = find_settings_file(sys.argv[1:], os.environ)
        from_file = read_settings_file(file, settings_cls.model_fields) if file else {}
        return init_settings, env_settings, InitSettingsSource(settings_cls, from_file)

    @field_validator("address_pool")
    @classmethod
    def _range(cls, value: str) -> str:
        try:
            return str(ipaddress.IPv4Network(value))
        except ValueError as error:
            raise ValueError(f"expected a range such as 10.201.0.0/16: {error}") from error

    @field_validator("publish_address")
    @classmethod
    def _address(cls, value: str) -> str:
        return str(ipaddress.ip_address(value)) if value else ""

    @field_validator("subnet_prefix")
    @classmethod
    def _fits(cls, value: int, info: ValidationInfo) -> int:
        pool = info.data.get("address_pool")
        if pool is not None and value < (shortest := ipaddress.IPv4Network(pool).prefixlen):
            raise ValueError(
                f"networks of /{value} do not fit into --address-pool {pool}: give {shortest} or more here, "
                "or a larger pool"
            )
        return value

    @field_validator("tls_key")
    @classmethod
    def _of_certificate(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if (value is None) != (info.data.get("tls_cert") is None):
            raise ValueError("--tls-cert and --tls-key belong together")
        return value

    @field_validator("tls_client_ca")
    @classmethod
    def _beside_certificate(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value is not None and info.data.get("tls_cert") is None:
            raise ValueError("certificates of clients are for TLS: give --tls-cert and --tls-key")
        return value

    @field_validator("policy")
    @classmethod
    def _can_be_read(cls, value: str) -> str:
        if value:
            load_policy(value)
        return value

    @field_validator("listen", "http")
    @classmethod
    def _protected(cls, value: list[str] | str, info: ValidationInfo) -> list[str] | str:
        given = info.data
        for address in [value] if isinstance(value, str) else value:
            if address and not (info.field_name == "listen" and address.startswith("unix:")):
                check_address(
                    address,
                    tls=given.get("tls_cert") is not None,
                    token=_has_tokens(given),
                    insecure=bool(given.get("insecure")),
                )
        return value

    @property
    def addresses(self) -> list[str]:
        """Where gRPC is served."""
        return self.listen or [f"unix://{self.state_dir}/controller.sock"]

    @property
    def tcp_addresses(self) -> list[str]:
        """Where gRPC and HTTP are served for who is no user of this machine, or may be none."""
        return [
            address for address in (*self.listen, self.http) if address and not address.startswith("unix:")
        ]

    @property
    def has_tokens(self) -> bool:
        """Whether callers over TCP are asked for a token."""
        return _has_tokens(dict(self))


def _has_tokens(given: Mapping[str, Any]) -> bool:
    token = given.get("token")
    return bool(token and token.get_secret_value()) or any(
        given.get(name) for name in ("token_file", "tokens")
    )
