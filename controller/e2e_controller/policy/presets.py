"""The policies that have names, and what a file adds to them."""

from typing import Any, TypeVar

from e2e_api.manifests import Model
from e2e_controller.policy.model import (
    ANY,
    Build,
    HostPath,
    Images,
    Policy,
    Preset,
)

M = TypeVar("M", bound=Model)

ENGINE_DEFAULTS = (
    *("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE"),
    *("NET_RAW", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"),
)
"""Capabilities that Docker Engine gives to every container."""
LOOPBACK = ("127.0.0.0/8", "::1/128")

PERMISSIVE = Policy(
    extends="permissive",
    host_paths=(HostPath(path=ANY),),
    privileged=True,
    capabilities=(ANY,),
    host_namespaces=("network", "pid", "ipc", "uts", "userns"),
    devices=(ANY,),
    images=Images(),
    build=Build(allowed=True, contexts=("/",), any_base_image=True),
    published_addresses=("0.0.0.0/0", "::/0"),
    host_ports=("1-65535",),
)
RESTRICTED = Policy(
    extends="restricted",
    host_paths=(),
    privileged=False,
    capabilities=ENGINE_DEFAULTS,
    host_namespaces=(),
    devices=(),
    images=Images(),
    build=Build(allowed=True, contexts=(), any_base_image=False),
    published_addresses=LOOPBACK,
    host_ports=("1024-65535",),
)
PRESETS: dict[Preset, Policy] = {"permissive": PERMISSIVE, "restricted": RESTRICTED}


def complete(given: Policy) -> Policy:
    """The policy with its preset's rules where it has none of its own."""
    return _merged(PRESETS[given.extends], given)


def _merged(base: M, given: M) -> M:
    """What is given counts; within a mapping that is given, field by field. Lists count as a whole."""
    changes: dict[str, Any] = {}
    for name in given.model_fields_set:
        value = getattr(given, name)
        changes[name] = _merged(getattr(base, name), value) if isinstance(value, Model) else value
    return base.model_copy(update=changes)
