"""What the policy judges of a manifest, and of what a driver is asked for: facts, each with its field."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e_api.manifests import ContainerFields, EnvironmentSpec, Manifest, Resources, Volume
from e2e_controller.drivers.base import ContainerSpec


@dataclass(frozen=True, slots=True)
class WantedMount:
    """A path of the host in a container; `own`: one of this process, which may see it elsewhere."""

    field: str
    path: str
    read_only: bool
    own: bool = False


@dataclass(frozen=True, slots=True)
class WantedPort:
    """A published port; `number` None: one that the driver chooses; `address` empty: where it publishes."""

    field: str
    number: int | None
    address: str = ""


@dataclass(frozen=True, slots=True)
class WantedBuild:
    """An image to build, of a folder on the controller's machine."""

    context: str
    dockerfile: str
    watched: bool = False
    """Whether a watched folder has the manifest: then what else is in there may be built of."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """All of it. `is_container`: it is more than an environment's defaults."""

    environment: str
    is_container: bool = True
    image: str = ""
    build: WantedBuild | None = None
    mounts: tuple[WantedMount, ...] = ()
    ports: tuple[WantedPort, ...] = ()
    privileged: bool = False
    capabilities: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    """Of the host's."""
    devices: tuple[str, ...] = ()
    memory: int | None = None
    cpus: float | None = None


def wanted_of_manifest(
    manifest: Manifest, environment: str, folder: Path, defaults: EnvironmentSpec, *, watched: bool
) -> Wanted:
    """Of a manifest; `folder` is what its paths are relative to, `watched`: it is one that is watched."""
    spec = manifest.spec
    mounts = tuple(_mounts(spec.volumes, folder))
    if not isinstance(spec, ContainerFields):
        return Wanted(environment, False, mounts=mounts, **_limits(spec.resources))
    build = None
    if spec.build is not None:
        build = WantedBuild(str(folder / spec.build.context), spec.build.dockerfile, watched)
    ports = (WantedPort(f"spec.ports.{name}", port.host_port) for name, port in spec.ports.items())
    return Wanted(
        environment,
        image=spec.image or "",
        build=build,
        mounts=mounts,
        ports=tuple(ports),
        privileged=spec.security.privileged,
        capabilities=spec.security.capabilities,
        namespaces=("userns",) if spec.security.userns else (),
        memory=spec.resources.memory or defaults.resources.memory,
        cpus=spec.resources.cpus or defaults.resources.cpus,
    )


def wanted_of_spec(environment: str, spec: ContainerSpec) -> Wanted:
    """Of what a driver is asked to create; what it was built of is judged where it is built."""
    return Wanted(
        environment,
        image="" if spec.image.startswith("e2e-build/") else spec.image,
        mounts=tuple(
            WantedMount(f"the volume at {mount.target}", mount.source, mount.read_only, mount.is_own_path)
            for mount in spec.mounts
            if mount.is_host_path
        ),
        ports=tuple(WantedPort(f"port {name}", port.host_port) for name, port in spec.ports.items()),
        privileged=spec.privileged,
        capabilities=spec.capabilities,
        namespaces=("userns",) if spec.userns else (),
        memory=spec.memory,
        cpus=spec.cpus,
    )


def _mounts(volumes: Iterable[Volume], folder: Path) -> Iterable[WantedMount]:
    for number, volume in enumerate(volumes):
        if volume.is_host_path:
            field, own = f"spec.volumes.{number}.source", not volume.source.startswith("/")
            yield WantedMount(field, str(folder / volume.source), volume.read_only, own)


def _limits(resources: Resources) -> Mapping[str, Any]:
    return {"memory": resources.memory, "cpus": resources.cpus}
