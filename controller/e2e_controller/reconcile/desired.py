"""From a manifest and its environment's defaults to what the container has to be. Pure."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from e2e_api.manifests import (
    Environment,
    EnvironmentSpec,
    Port,
    Readiness,
    State,
    Volume,
    Workload,
    WorkloadSpec,
)
from e2e_controller.directories import Directories
from e2e_controller.drivers.base import BuildSpec, ContainerSpec, FileContent, Mount, PortSpec
from e2e_controller.objects import Object


@dataclass(frozen=True, slots=True)
class Desired:
    """What a workload has to be."""

    spec: ContainerSpec
    spec_hash: str
    state: State
    pull_policy: str
    build: BuildSpec | None
    restart_policy: str
    grace_period: float
    graceful_removal: bool
    """Whether the manifest asks how to stop; else a removal kills, which is faster."""
    readiness: Readiness | None
    ports: Mapping[str, Port]
    directory: Path
    """The workload's own directory."""


def desired_workload(
    object_: Object,
    environment: Environment | None,
    directories: Directories,
    *,
    mount_shared: bool,
) -> Desired | None:
    """None where nothing is wanted: the object is being deleted, or there never was a valid manifest."""
    manifest = object_.manifest
    if object_.deleting or not isinstance(manifest, Workload):
        return None
    spec, key = manifest.spec, object_.key
    defaults = environment.spec if environment else EnvironmentSpec()
    folder = Path(object_.source.path).parent if object_.source else Path("/")
    build = _build(spec, folder, key.environment, key.name)
    container = ContainerSpec(
        image=build.tag if build else spec.image or "",
        entrypoint=spec.entrypoint,
        command=spec.command,
        env=dict(spec.env),
        user=spec.user,
        working_dir=spec.working_dir,
        ports={
            name: PortSpec(port.container_port, port.host_port, port.protocol)
            for name, port in spec.ports.items()
        },
        files=tuple(FileContent(file.path, file.content.encode(), file.mode) for file in spec.files),
        mounts=_mounts(spec, defaults, folder, directories.shared(key.environment) if mount_shared else None),
        labels={**defaults.labels, **manifest.metadata.labels},
        memory=spec.resources.memory or defaults.resources.memory,
        cpus=spec.resources.cpus or defaults.resources.cpus,
        privileged=spec.security.privileged,
        capabilities=spec.security.capabilities,
        userns=spec.security.userns,
        stop_signal=spec.stop.signal,
    )
    return Desired(
        spec=container,
        spec_hash=spec_hash(container),
        state=spec.state,
        pull_policy=spec.image_pull_policy,
        build=build,
        restart_policy=spec.restart_policy,
        grace_period=spec.stop.grace_period,
        graceful_removal="stop" in spec.model_fields_set,
        readiness=spec.readiness,
        ports=spec.ports,
        directory=directories.own(key.environment, key.name),
    )


def spec_hash(spec: ContainerSpec) -> str:
    """The hash of everything that makes a container what it is."""
    return _digest(asdict(spec))


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, default=lambda data: data.hex())
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _build(spec: WorkloadSpec, folder: Path, environment: str, name: str) -> BuildSpec | None:
    if spec.build is None:
        return None
    context = str((folder / spec.build.context).resolve())
    arguments = dict(spec.build.args)
    identity = _digest([context, spec.build.dockerfile, arguments, spec.build.target])[:12]
    tag = f"e2e-build/{environment}.{name}:{identity}"
    return BuildSpec(tag, context, spec.build.dockerfile, arguments, spec.build.target)


def _mounts(
    spec: WorkloadSpec, defaults: EnvironmentSpec, folder: Path, shared: Path | None
) -> tuple[Mount, ...]:
    own = {volume.target for volume in spec.volumes}
    volumes = [*spec.volumes, *(volume for volume in defaults.volumes if volume.target not in own)]
    mounts = [_mount(volume, folder) for volume in volumes]
    if shared is not None:
        mounts.append(Mount(str(shared), str(shared), is_host_path=True))
    return tuple(mounts)


def _mount(volume: Volume, folder: Path) -> Mount:
    source = str((folder / volume.source).absolute()) if volume.is_host_path else volume.source
    return Mount(source, volume.target, volume.read_only, volume.is_host_path)
