"""Every option of the controller: as flag, as variable `E2E_...`, in a YAML file; in that order of weight."""

import argparse
import os
import sys
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    YamlConfigSettingsSource,
)

from e2e_api.manifests import DnsLabel
from e2e_api.quantities import parse_duration


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


def default_state_dir() -> Path:
    """`$XDG_STATE_HOME/e2e`, else `~/.local/state/e2e`."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "e2e"


def config_file(arguments: list[str]) -> Path | None:
    """The settings file, which must be known before the other settings are. Raises `SettingsError`."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config")
    given = parser.parse_known_args(arguments)[0].config or os.environ.get("E2E_CONFIG")
    if given and not Path(given).is_file():
        raise SettingsError(f"--config: there is no file {given}")
    return Path(given) if given else None


class Settings(BaseSettings):
    """Keeps containers in the state that manifests ask for, and serves waits over gRPC."""

    model_config = SettingsConfigDict(
        env_prefix="E2E_",
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
    state_dir: FolderPath = Field(
        default_factory=default_state_dir,
        validate_default=True,
        description="Where applied manifests and the environments' shared directories are kept.",
    )
    listen: Annotated[list[str], NoDecode, BeforeValidator(_list)] = Field(
        [],
        description="gRPC address, unix:///path or host:port; may be given several times. "
        "Default: controller.sock in the state folder.",
    )
    http: str = Field("", description="host:port of /metrics, /healthz and /readyz; empty: not served.")
    insecure: bool = Field(False, description="Allow to listen beyond loopback without protection.")
    engine: str = Field("", description="Engine's address; default: as the docker CLI finds it.")
    engine_timeout: Seconds = Field(60.0, gt=0, description="Longest time for one call to the engine.")
    engine_parallelism: int = Field(16, ge=1, le=256, description="Calls to the engine at once.")
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
    idle_timeout: Seconds = Field(0.0, ge=0, description="Exit after being unused for so long; 0: never.")
    delete_on_exit: bool = Field(False, description="Delete all containers and networks on SIGTERM.")
    ready_fd: int = Field(-1, description="Descriptor that is told `ready` once the server serves.")
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
        """Flags, then variables, then the file that `config_file` finds."""
        sources: tuple[PydanticBaseSettingsSource, ...] = (init_settings, env_settings)
        config = config_file(sys.argv[1:])
        if config is not None:
            sources += (YamlConfigSettingsSource(settings_cls, yaml_file=config),)
        return sources

    @model_validator(mode="after")
    def _protected(self) -> Self:
        for address in (*self.listen, *filter(None, [self.http])):
            host = address.rpartition(":")[0].strip("[]")
            loopback = host in ("localhost", "::1") or host.startswith("127.")
            if not address.startswith("unix:") and not loopback and not self.insecure:
                raise ValueError(
                    f"{address} can be reached from other machines: listen on 127.0.0.1, or give --insecure"
                )
        return self

    @property
    def addresses(self) -> list[str]:
        """Where gRPC is served."""
        return self.listen or [f"unix://{self.state_dir}/controller.sock"]
