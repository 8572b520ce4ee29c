"""From a manifest and its environment's defaults to what the container has to be. Pure."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from e2e_api.manifests import (
    ContainerFields,
    EnvironmentSpec,
    File,
    JobSpec,
    Port,
    Readiness,
    Secret,
    State,
    ValueFrom,
    Volume,
    WorkloadSpec,
    normal_path,
)
from e2e_controller.directories import Directories
from e2e_controller.drivers.base import BuildSpec, ContainerSpec, FileContent, Mount, PortSpec
from e2e_controller.objects import Object
from e2e_controller.reconcile.notes import Notes, notes_file
from e2e_controller.reconcile.steps import Waiting
from e2e_controller.secret_texts import NO_SECRETS

DIGEST_LENGTH = 12
"""Of the digests in a built image's tag."""
_NO_HASH = "unknown"
"""Of what lacks a secret: no container's."""


@dataclass(frozen=True, slots=True)
class LiveFile:
    """A file that is written into the container that is there when its content changes."""

    content: FileContent
    digest: str
    on_change: str
    """`Restart`, `Signal(SIG...)` or `None`."""


@dataclass(frozen=True, slots=True)
class Desired:
    """What a workload or job has to be."""

    spec: ContainerSpec
    spec_hash: str
    state: State
    pull_policy: str
    build: BuildSpec | None
    restart_policy: str
    grace_period: float
    removal_grace: float | None
    """Seconds that it has to end when it is removed; None where its manifest does not ask how to stop: then
    a removal kills, which is faster."""
    readiness: Readiness | None
    live_files: tuple[LiveFile, ...]
    is_job: bool
    retries: int
    ports: Mapping[str, Port]
    directory: Path
    """The workload's own directory."""
    lacks: Waiting | None = None
    """Which secret is not there, so that it is not known what the container has to be."""


def desired_container(
    object_: Object, environment: Object | None, directories: Directories, *, mount_shared: bool
) -> Desired | None:
    """None where nothing is wanted: the object is being deleted, or there never was a valid manifest."""
    spec, key, secrets = container_fields(object_), object_.key, object_.secrets or NO_SECRETS
    if object_.deleting or spec is None:
        return None
    build = build_spec(object_)
    container = _container_spec(object_, spec, environment, build)
    if mount_shared:
        shared = str(directories.shared(key.environment))
        shared_mount = Mount(shared, shared, is_host_path=True, is_own_path=True)
        container = replace(container, mounts=(*container.mounts, shared_mount))
    live_files = tuple(_live_file(file) for file in spec.files if file.is_live)
    run_id = spec.run_id if isinstance(spec, JobSpec) else ""
    hashed = spec_hash(_without_secrets(container, spec, secrets.digest), run_id)
    files = (
        *container.files,
        *(
            FileContent(file.path, secrets.value(file.from_), file.mode, file.uid)
            for file in spec.secret_files
        ),
    )
    container = replace(container, env=_variables(spec, secrets.variable), files=files)
    if live_files:
        notes = Notes({file.content.path: file.digest for file in live_files})
        container = replace(container, files=(*container.files, notes_file(notes)))
    return Desired(
        spec=container,
        spec_hash=_NO_HASH if secrets.problem else hashed,
        state=spec.state if isinstance(spec, WorkloadSpec) else "Running",
        pull_policy=spec.image_pull_policy,
        build=build,
        restart_policy=spec.restart_policy if isinstance(spec, WorkloadSpec) else "Never",
        grace_period=spec.stop.grace_period,
        removal_grace=removal_grace(object_),
        readiness=spec.readiness if isinstance(spec, WorkloadSpec) else None,
        live_files=live_files,
        is_job=isinstance(spec, JobSpec),
        retries=spec.retries if isinstance(spec, JobSpec) else 0,
        ports=spec.ports,
        directory=directories.own(key.environment, key.name),
        lacks=Waiting(secrets.reason, secrets.problem, hopeless=True) if secrets.problem else None,
    )


def container_fields(object_: Object) -> WorkloadSpec | JobSpec | None:
    """The spec of a workload or job that has had a valid manifest."""
    spec = object_.manifest.spec if object_.manifest else None
    return spec if isinstance(spec, WorkloadSpec | JobSpec) else None


def removal_grace(object_: Object) -> float | None:
    """Seconds that it has to end when it is removed; None where its manifest does not ask how to stop."""
    spec = container_fields(object_)
    return spec.stop.grace_period if spec and "stop" in spec.model_fields_set else None


def _container_spec(
    object_: Object, spec: ContainerFields, environment: Object | None, build: BuildSpec | None
) -> ContainerSpec:
    manifest = environment.manifest if environment else None
    defaults = manifest.spec if manifest and isinstance(manifest.spec, EnvironmentSpec) else EnvironmentSpec()
    targets = {normal_path(volume.target) for volume in spec.volumes}
    inherited = [volume for volume in defaults.volumes if normal_path(volume.target) not in targets]
    return ContainerSpec(
        image=build.tag if build else spec.image or "",
        entrypoint=spec.entrypoint,
        command=spec.command,
        user=spec.user,
        working_dir=spec.working_dir,
        ports={
            name: PortSpec(port.container_port, port.host_port, port.protocol)
            for name, port in spec.ports.items()
        },
        files=tuple(_file_content(file) for file in spec.files),
        mounts=(
            *(_mount(volume, _folder(object_)) for volume in spec.volumes),
            *(_mount(volume, _folder(environment)) for volume in inherited),
        ),
        labels={**defaults.labels, **object_.labels},
        memory=spec.resources.memory or defaults.resources.memory,
        cpus=spec.resources.cpus or defaults.resources.cpus,
        privileged=spec.security.privileged,
        capabilities=spec.security.capabilities,
        userns=spec.security.userns,
        stop_signal=spec.stop.signal,
    )


def _folder(object_: Object | None) -> Path:
    """What relative paths in its manifest are relative to."""
    return Path(object_.source.path).parent if object_ and object_.source else Path("/")


def _variables(spec: ContainerFields, text: Callable[[Secret], str]) -> dict[str, str]:
    return {
        name: text(value.value_from) if isinstance(value, ValueFrom) else value
        for name, value in spec.env.items()
    }


def _without_secrets(
    container: ContainerSpec, spec: ContainerFields, digest: Callable[[Secret], str]
) -> ContainerSpec:
    """As it is hashed: the hash is a label, and shown."""
    files = [_hashed_file(file) for file in spec.files]
    files += [
        FileContent(file.path, digest(file.from_).encode(), file.mode, file.uid) for file in spec.secret_files
    ]
    return replace(container, env=_variables(spec, digest), files=tuple(files))


def _file_content(file: File) -> FileContent:
    return FileContent(file.path, (file.content or "").encode(), file.mode)


def _hashed_file(file: File) -> FileContent:
    return FileContent(file.path, b"", file.mode) if file.is_live else _file_content(file)


def _live_file(file: File) -> LiveFile:
    content = _file_content(file)
    return LiveFile(content, hashlib.sha256(content.content).hexdigest()[:32], file.reaction)


def spec_hash(spec: ContainerSpec, run_id: str = "") -> str:
    """The hash of everything that makes a container what it is."""
    fields = asdict(spec)
    del fields["kept_ports"]
    return _digest([fields, run_id])


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, default=lambda data: data.hex())
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def build_spec(object_: Object) -> BuildSpec | None:
    """What its image is built of; None where nothing is built, or nothing is wanted."""
    spec, key = container_fields(object_), object_.key
    if object_.deleting or spec is None or spec.build is None:
        return None
    context = str((_folder(object_) / spec.build.context).resolve())
    arguments = dict(spec.build.args)
    made_by = [context, spec.build.dockerfile, arguments, spec.build.target]
    identity = "-".join(filter(None, (_digest(made_by)[:DIGEST_LENGTH], object_.build_context)))
    tag = f"e2e-build/{key.environment}.{key.name}:{identity}"
    return BuildSpec(tag, context, spec.build.dockerfile, arguments, spec.build.target)


def digest_of_built(image: str) -> str:
    """The digest of the context that the image was built of; empty where its tag has none."""
    found = re.fullmatch(rf"e2e-build/.*:[0-9a-f]{{{DIGEST_LENGTH}}}-([0-9a-f]{{{DIGEST_LENGTH}}})", image)
    return found[1] if found else ""


def _mount(volume: Volume, folder: Path) -> Mount:
    source = str((folder / volume.source).absolute()) if volume.is_host_path else volume.source
    relative = volume.is_host_path and not Path(volume.source).is_absolute()
    return Mount(source, volume.target, volume.read_only, volume.is_host_path, is_own_path=relative)
