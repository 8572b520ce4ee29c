"""How the fake makes, checks and drops a container."""

import posixpath
from collections.abc import Collection

from e2e_api.conditions import Reason
from e2e_controller.drivers.base import (
    Container,
    ContainerGone,
    ContainerPhase,
    ContainerSpec,
    Key,
    NameTaken,
    SpecRefused,
)
from e2e_controller.drivers.fake.engine import KILLED, FakeContainer, FakeEngine

_CAPABILITIES = """
ALL AUDIT_CONTROL AUDIT_READ AUDIT_WRITE BLOCK_SUSPEND BPF CHECKPOINT_RESTORE CHOWN DAC_OVERRIDE
DAC_READ_SEARCH FOWNER FSETID IPC_LOCK IPC_OWNER KILL LEASE LINUX_IMMUTABLE MAC_ADMIN MAC_OVERRIDE MKNOD
NET_ADMIN NET_BIND_SERVICE NET_BROADCAST NET_RAW PERFMON SETFCAP SETGID SETPCAP SETUID SYSLOG SYS_ADMIN
SYS_BOOT SYS_CHROOT SYS_MODULE SYS_NICE SYS_PACCT SYS_PTRACE SYS_RAWIO SYS_RESOURCE SYS_TIME
SYS_TTY_CONFIG WAKE_ALARM
"""
CAPABILITIES = frozenset(_CAPABILITIES.split())
NO_SUCH_PROGRAM = "no-such-program"
"""A command that no image has."""


def container_name(key: Key) -> str:
    """Name on the engine."""
    return f"{key.environment}.{key.name}"


def name_taken(found: FakeContainer) -> NameTaken:
    """The error for a name that somebody has."""
    owner = f"controller {found.owner}" if found.owner else "something that e2e did not make"
    return NameTaken(f"the container name {found.name} is taken by {found.view.key.kind} of {owner}")


def check(engine: FakeEngine, key: Key, spec: ContainerSpec, missing_paths: Collection[str]) -> None:
    """Raises what an engine would."""
    if (found := engine.containers.get(container_name(key))) is not None:
        raise name_taken(found)
    if spec.image not in engine.images:
        raise ContainerGone(f"create {key}: No such image: {spec.image}")
    for mount in spec.mounts:
        if mount.is_host_path and mount.source in missing_paths:
            raise SpecRefused(
                f"create {key}: bind source path does not exist: {mount.source}", reason=Reason.MOUNT_FAILED
            )
        if engine.volumes.get((key.environment, mount.source), "us") == "":
            raise NameTaken(f"the volume {mount.source} belongs to something else")
    for capability in spec.capabilities:
        if capability.removeprefix("CAP_") not in CAPABILITIES:
            raise SpecRefused(f"create {key}: unknown capability: {capability}")
    if not arguments(engine, spec):
        raise SpecRefused(f"create {key}: there is nothing to run: no entrypoint, and an empty command")


def check_start(engine: FakeEngine, container: FakeContainer) -> None:
    """Raises what an engine would."""
    engine.check_ports(container)
    if container.arguments[0] == NO_SUCH_PROGRAM:
        text = f"start {container.view.key}: {NO_SUCH_PROGRAM}: executable file not found in $PATH"
        raise SpecRefused(text, reason=Reason.START_FAILED)


def arguments(engine: FakeEngine, spec: ContainerSpec) -> tuple[str, ...]:
    """What runs: an entrypoint that is given drops the image's command, an empty one does not."""
    image = engine.images[spec.image]
    entrypoint = image.entrypoint if spec.entrypoint is None else spec.entrypoint
    command = spec.command
    if command is None:
        command = () if spec.entrypoint else image.command
    return entrypoint + command


def add(
    engine: FakeEngine, owner: str, key: Key, spec: ContainerSpec, spec_hash: str, *, finished: bool
) -> FakeContainer:
    """Makes a container; not `finished` is what a crash in the middle of a creation leaves."""
    names = {f"{port.container_port}/{port.protocol}": port.host_port for port in spec.ports.values()}
    ports = {name: fixed or engine.choose_port(spec.kept_ports.get(name)) for name, fixed in names.items()}
    fixed = {port.host_port for port in spec.ports.values()}
    container = FakeContainer(
        owner=owner,
        spec=spec,
        view=Container(
            id=engine.new_id(),
            key=key,
            spec_hash=spec_hash,
            image=spec.image,
            phase=ContainerPhase.CREATED,
            created_at=engine.now(),
            attempt=spec.attempt,
            host_ports=ports,
        ),
        chosen_ports=frozenset(ports.values()) - fixed,
        finished=finished,
        arguments=arguments(engine, spec) if spec.image in engine.images else ("foreign",),
        files={posixpath.normpath(file.path): (file.content, file.mode) for file in spec.files},
    )
    engine.add(container)
    engine.emit(container, "create")
    return container


def drop(engine: FakeEngine, container: FakeContainer) -> None:
    """Removes a container, killing it."""
    engine.end(container, KILLED)
    names = [name for name, found in engine.containers.items() if found is container]
    for name in names:
        del engine.containers[name]
    engine.emit(container, "destroy")
