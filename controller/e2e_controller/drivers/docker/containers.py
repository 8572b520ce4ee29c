"""What a container is: our specification to the engine's, and the engine's view to ours. Pure."""

import io
import math
import posixpath
import re
import signal
import tarfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from e2e_api.manifests import DNS_LABEL
from e2e_controller.drivers.base import (
    LABEL_CONTROLLER,
    LABEL_ENVIRONMENT,
    LABEL_KIND,
    LABEL_NAME,
    LABEL_SPEC_HASH,
    Container,
    ContainerPhase,
    ContainerSpec,
    FileContent,
    Health,
    Key,
    ListedContainer,
    Mount,
)
from e2e_controller.drivers.docker.endpoint import LOOPBACK
from e2e_controller.drivers.docker.wording import plain
from e2e_controller.drivers.inventory import Owner

LABEL_CHOSEN_PORTS = "io.e2e.chosen-ports"
"""Host ports that the driver chose, as against those that the manifest fixes."""
LABEL_ATTEMPT = "io.e2e.attempt"
"""Which of a job's containers it is; the first has none."""
LABEL_HAS_FILES = "io.e2e.has-files"
"""Files are copied in after the creation: until this is known to be done, the container is not finished."""
LOG_LIMITS = {"max-size": "25m", "max-file": "2"}

_PHASES = {
    "created": ContainerPhase.CREATED,
    "running": ContainerPhase.RUNNING,
    "restarting": ContainerPhase.RUNNING,
    "paused": ContainerPhase.PAUSED,
    "exited": ContainerPhase.EXITED,
}
_SIGKILLED = 128 + signal.SIGKILL
_ENDED = (ContainerPhase.EXITED, ContainerPhase.DEAD)
_NEVER = datetime(1, 1, 1, tzinfo=UTC)


def container_name(key: Key) -> str:
    """A dot stands in neither part, so no two keys share a name."""
    return f"{key.environment}.{key.name}"


def network_name(environment: str) -> str:
    """Name of the environment's network."""
    return f"e2e-{environment}"


def environment_of_network(name: str) -> str:
    """The environment whose network has that name; "" where it is no name of ours."""
    prefix = network_name("")
    return name.removeprefix(prefix) if name.startswith(prefix) else ""


def volume_name(environment: str, name: str) -> str:
    """Name of a named volume."""
    return f"e2e-{environment}.{name}"


def creation_body(
    key: Key,
    spec: ContainerSpec,
    spec_hash: str,
    owner: Owner,
    host_ports: Mapping[str, int],
    chosen: Sequence[int],
    publish_address: str = LOOPBACK,
) -> dict[str, Any]:
    """The body of the engine's create call. `host_ports` has a port for each `8080/tcp`-like one.

    Those bind to `publish_address` of the engine's machine.
    """
    network = network_name(key.environment)
    labels = dict(spec.labels) | key_labels(key, owner) | {LABEL_SPEC_HASH: spec_hash}
    if chosen:
        labels[LABEL_CHOSEN_PORTS] = ",".join(map(str, chosen))
    if spec.attempt:
        labels[LABEL_ATTEMPT] = str(spec.attempt)
    if spec.files:
        labels[LABEL_HAS_FILES] = str(len(spec.files))
    body: dict[str, Any] = {
        "Image": spec.image,
        "Hostname": key.name,
        "Env": [f"{name}={value}" for name, value in spec.env.items()],
        "User": spec.user,
        "WorkingDir": spec.working_dir,
        "StopSignal": spec.stop_signal,
        "Labels": labels,
        "ExposedPorts": {port: {} for port in host_ports},
        "HostConfig": _host_config(key.environment, spec, _bindings(host_ports, publish_address)),
        "NetworkingConfig": {"EndpointsConfig": {network: {"Aliases": [key.name]}}},
    }
    # The engine takes its image's command where it is given neither, so an empty list is one that counts
    # for the entrypoint, and none for the command: see Lifecycle._with_entrypoint.
    if spec.entrypoint is not None:
        body["Entrypoint"] = list(spec.entrypoint)
    if spec.command is not None:
        body["Cmd"] = list(spec.command)
    return body


def key_labels(key: Key, owner: Owner) -> dict[str, str]:
    """Labels that say whose a container is, and which."""
    return {
        **owner.labels,
        LABEL_ENVIRONMENT: key.environment,
        LABEL_KIND: key.kind,
        LABEL_NAME: key.name,
    }


def _bindings(host_ports: Mapping[str, int], address: str) -> dict[str, Any]:
    return {port: [{"HostIp": address, "HostPort": str(number)}] for port, number in host_ports.items()}


def _host_config(environment: str, spec: ContainerSpec, bindings: Mapping[str, Any]) -> dict[str, Any]:
    config: dict[str, Any] = {
        "NetworkMode": network_name(environment),
        "PortBindings": dict(bindings),
        "Mounts": [_mount(environment, mount) for mount in spec.mounts],
        "LogConfig": {"Type": "json-file", "Config": LOG_LIMITS},
        "Privileged": spec.privileged,
        "CapAdd": list(spec.capabilities),
        "UsernsMode": spec.userns,
    }
    if spec.memory is not None:
        config |= {"Memory": spec.memory, "MemorySwap": spec.memory}
    if spec.cpus is not None:
        config["NanoCpus"] = round(spec.cpus * 1e9)
    return config


def _mount(environment: str, mount: Mount) -> dict[str, Any]:
    """A Mount and not a Bind: the engine would make a missing source of a Bind, as a directory of root's."""
    source = mount.source if mount.is_host_path else volume_name(environment, mount.source)
    kind = "bind" if mount.is_host_path else "volume"
    return {"Type": kind, "Source": source, "Target": mount.target, "ReadOnly": mount.read_only}


def is_private(files: Sequence[FileContent]) -> bool:
    """Whether a file is not for everybody to read, so that its owner matters, which is not said."""
    return any(not file.mode & 0o004 and file.uid is None for file in files)


def files_archive(files: Sequence[FileContent], owner: tuple[int, int], now: float) -> bytes:
    """A tar to unpack at `/`. Lists no directories: those that exist would be changed."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for file in files:
            member = tarfile.TarInfo(posixpath.normpath(file.path).lstrip("/"))
            member.size, member.mode, member.mtime = len(file.content), file.mode, math.floor(now)
            member.uid, member.gid = owner if file.uid is None else (file.uid, owner[1])
            archive.addfile(member, io.BytesIO(file.content))
    return buffer.getvalue()


def key_of(labels: Mapping[str, str] | None, controller_id: str) -> Key | None:
    """The key of an object of ours; None where it belongs to somebody else."""
    labels = labels or {}
    if labels.get(LABEL_CONTROLLER) != controller_id:
        return None
    environment, kind, name = (labels.get(label, "") for label in (LABEL_ENVIRONMENT, LABEL_KIND, LABEL_NAME))
    if not kind or not all(re.fullmatch(DNS_LABEL, part) for part in (environment, name)):
        return None  # labels made by hand
    return Key(environment, kind, name)


def owner_text(labels: Mapping[str, str] | None, controller_id: str = "") -> str:
    """Who has something, for a message; `controller_id` is our own."""
    labels = labels or {}
    controller = labels.get(LABEL_CONTROLLER)
    if not controller:
        return "something that e2e did not make"
    kind, name = labels.get(LABEL_KIND), labels.get(LABEL_NAME)
    what = f"{kind} {name} of " if kind and name else ""
    if controller == controller_id:
        return f"{what}environment {labels.get(LABEL_ENVIRONMENT, '')}"
    return f"{what}controller {controller}"


def holder_of_port(
    listed: Sequence[Mapping[str, Any]], port: int, controller_id: str, only: str | None = None
) -> str:
    """Which of the listed containers publishes a host port, in words; "" where none does.

    `only`: the environment whose containers are named, and no other's.
    """
    for item in listed:
        if any(published.get("PublicPort") == port for published in item.get("Ports") or ()):
            if only not in (None, (item.get("Labels") or {}).get(LABEL_ENVIRONMENT)):
                return f"a container outside of this environment has port {port}"
            name = (item.get("Names") or [item["Id"][:12]])[0].lstrip("/")
            owner = owner_text(item.get("Labels"), controller_id)
            return f"container {name} has port {port}; it belongs to {owner}"
    return ""


def chosen_ports(inspected: Mapping[str, Any]) -> frozenset[int]:
    """Host ports of a container that the driver chose."""
    text = (inspected["Config"]["Labels"] or {}).get(LABEL_CHOSEN_PORTS, "")
    return frozenset(int(number) for number in text.split(",") if re.fullmatch("[0-9]{1,5}", number))


def is_half_made(inspected: Mapping[str, Any]) -> bool:
    """Whether the container may lack its files: it has some, and never ran."""
    started = _time(inspected["State"]["StartedAt"])
    return started is None and LABEL_HAS_FILES in (inspected["Config"]["Labels"] or {})


def has_memory_limit(inspected: Mapping[str, Any]) -> bool:
    """Whether the kernel may kill it for its memory."""
    return bool(inspected["HostConfig"].get("Memory"))


def is_killed_at_limit(inspected: Mapping[str, Any]) -> bool:
    """Whether it has a memory limit and ended by SIGKILL, which the engine does not say was the kernel's.

    The word about memory may reach the engine after the container's end, or never (containerd issue 8893).
    """
    state = inspected["State"]
    killed = state["Status"] == "exited" and state["ExitCode"] == _SIGKILLED
    return killed and has_memory_limit(inspected) and not state.get("OOMKilled")


def to_container(key: Key, inspected: Mapping[str, Any]) -> Container:
    """The engine's view of a container, as ours."""
    state = inspected["State"]
    phase = _PHASES.get(state["Status"], ContainerPhase.DEAD)
    network = (inspected["NetworkSettings"]["Networks"] or {}).get(network_name(key.environment)) or {}
    running = phase in (ContainerPhase.RUNNING, ContainerPhase.PAUSED)
    return Container(
        id=inspected["Id"],
        key=key,
        spec_hash=(inspected["Config"]["Labels"] or {}).get(LABEL_SPEC_HASH, ""),
        image=inspected["Config"]["Image"],
        phase=phase,
        created_at=_time(inspected["Created"]) or _NEVER,
        attempt=_attempt((inspected["Config"]["Labels"] or {}).get(LABEL_ATTEMPT, "")),
        started_at=_time(state["StartedAt"]),
        finished_at=None if running else _time(state["FinishedAt"]),
        exit_code=state["ExitCode"] if phase in _ENDED else None,
        oom_killed=bool(state.get("OOMKilled")),
        error=plain(state.get("Error", "")),
        health=Health((state.get("Health") or {}).get("Status") or "none"),
        health_output=_health_output(state.get("Health") or {}),
        network_id=network.get("NetworkID", ""),
        address=network.get("IPAddress", "") if running else "",
        host_ports=_host_ports(inspected["HostConfig"].get("PortBindings") or {}),
    )


def _attempt(label: str) -> int:
    """Where we gave none, an image may have any."""
    return int(label) if re.fullmatch("[0-9]{1,6}", label) else 0


def _health_output(health: Mapping[str, Any]) -> str:
    """Exit code and output of the last run that failed; "" where none did."""
    last = (health.get("Log") or [{}])[-1]
    if not last.get("ExitCode"):
        return ""
    return f"exit code {last['ExitCode']}: {str(last.get('Output', '')).strip()}".removesuffix(": ")


def to_listed(item: Mapping[str, Any], controller_id: str) -> ListedContainer | None:
    """An item of the engine's list, as ours; None where it belongs to somebody else."""
    key = key_of(item["Labels"], controller_id)
    if key is None:
        return None
    networks = (item.get("NetworkSettings") or {}).get("Networks") or {}
    network = networks.get(network_name(key.environment)) or {}
    phase = _PHASES.get(item["State"], ContainerPhase.DEAD)
    names = item["Names"] or ()
    is_stray = bool(names) and f"/{container_name(key)}" not in names
    return ListedContainer(key, item["Id"], phase, network.get("NetworkID", ""), is_stray)


def bound_address(inspected: Mapping[str, Any]) -> str:
    """The address of the engine's machine that its ports are bound to; "" where it has none, or all."""
    bindings = (inspected["HostConfig"].get("PortBindings") or {}).values()
    return next((str(hosts[0].get("HostIp") or "") for hosts in bindings if hosts), "")


def _host_ports(bindings: Mapping[str, Any]) -> dict[str, int]:
    return {
        port: int(hosts[0]["HostPort"]) for port, hosts in bindings.items() if hosts and hosts[0]["HostPort"]
    }


def _time(text: str) -> datetime | None:
    """A time of the engine, to the microsecond; its zero time is none."""
    moment = datetime.fromisoformat(text).astimezone(UTC)
    return None if moment.year <= 1 else moment
