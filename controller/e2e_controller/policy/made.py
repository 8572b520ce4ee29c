"""What the policy judges of a container that the engine has made, by the engine's own word. Pure."""

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address
from typing import Any

from e2e_controller.drivers.base import LABEL_ENVIRONMENT
from e2e_controller.policy.wanted import Wanted, WantedMount, WantedPort

_MODES = {
    "network": "NetworkMode",
    "pid": "PidMode",
    "ipc": "IpcMode",
    "uts": "UTSMode",
    "userns": "UsernsMode",
}
_UNCONFINED = ("unconfined", "disable")
_EVERYWHERE = str(IPv4Address(0))
"""Where the engine publishes what names no address."""


def wanted_of_made(told: Mapping[str, Any]) -> Wanted:
    """Of the engine's description of a container, or of the request that makes one.

    Its image and what it may use were judged before, and cannot have changed since.
    """
    host = told.get("HostConfig") or {}
    labels = (told.get("Config") or told).get("Labels") or {}
    options = [str(option) for option in host.get("SecurityOpt") or ()]
    return Wanted(
        labels.get(LABEL_ENVIRONMENT, ""),
        is_container=False,
        mounts=tuple(_mounts(host)),
        ports=tuple(_ports(host)),
        privileged=bool(host.get("Privileged")) or any(o.endswith(_UNCONFINED) for o in options),
        capabilities=tuple(host.get("CapAdd") or ()),
        namespaces=tuple(name for name, mode in _MODES.items() if _is_shared(str(host.get(mode) or ""))),
        devices=tuple(_devices(host)),
    )


def _is_shared(mode: str) -> bool:
    """Whether it is the host's, or another container's."""
    return mode == "host" or mode.startswith("container:")


def _mounts(host: Mapping[str, Any]) -> Iterator[WantedMount]:
    for item in host.get("Mounts") or ():
        if item.get("Type") == "bind":
            field = f"the volume at {item.get('Target')}"
            yield WantedMount(field, str(item.get("Source")), bool(item.get("ReadOnly")))
    for text in host.get("Binds") or ():
        source, _, rest = str(text).partition(":")
        if source.startswith("/"):
            target, _, options = rest.partition(":")
            yield WantedMount(f"the volume at {target}", source, "ro" in options.split(","))


def _ports(host: Mapping[str, Any]) -> Iterator[WantedPort]:
    """Where they are published; which of the host's was judged where it was asked for."""
    for port, bindings in (host.get("PortBindings") or {}).items():
        for binding in bindings or ():
            yield WantedPort(f"port {port}", None, binding.get("HostIp") or _EVERYWHERE)


def _devices(host: Mapping[str, Any]) -> Iterator[str]:
    for device in host.get("Devices") or ():
        yield str(device.get("PathOnHost"))
    for rule in host.get("DeviceCgroupRules") or ():
        yield str(rule)
    for request in host.get("DeviceRequests") or ():
        yield str(request.get("Driver") or request.get("Capabilities"))
