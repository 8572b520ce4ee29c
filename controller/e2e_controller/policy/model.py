"""The policy file, as frozen pydantic models: strict, like manifests. The published JSON Schema is theirs."""

import ipaddress
import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from e2e_api.manifests.base import Model, as_tuple
from e2e_api.manifests.texts import Matching
from e2e_api.quantities import Bytes, Cpus

ANY = "*"
"""In a list: whatever it is."""
Preset = Literal["permissive", "restricted"]
Namespace = Literal["network", "pid", "ipc", "uts", "userns"]

_PLAIN = r"[^\x00-\x1f\x7f*?\[\]]"
"""A character of a path: no pattern is meant by any, and so none may look like one."""
_NO_PATTERN = "no pattern, as a path stands for all that is below it"
_Path = Annotated[
    str,
    Matching(rf"^(/{_PLAIN}*|\*)$", f"an absolute path that begins with /, and {_NO_PATTERN}; or * for any"),
]
_Folder = Annotated[
    str, Matching(rf"^/{_PLAIN}*$", f"an absolute path that begins with /, and {_NO_PATTERN}")
]
_Repository = Annotated[
    str,
    Matching(
        r"^(\*|[a-zA-Z0-9][a-zA-Z0-9.\-]*(:[0-9]+)?(/[a-z0-9._\-]+)*)$",
        "a registry, or what images begin with, such as quay.io/prometheus; or * for any",
    ),
]
_Capability = Annotated[
    str, Matching(r"^(\*|[A-Z][A-Z0-9_]*)$", "a capability such as NET_ADMIN, or * for any")
]
_Device = Annotated[
    str,
    Matching(
        rf"^(/dev/{_PLAIN}+|\*)$", "a path below /dev, each by itself and without patterns; or * for any"
    ),
]
_Tag = Annotated[str, Matching(r"^[A-Za-z0-9_.*?\[\]!-]+$", "a tag, or a pattern such as v1.*")]
_PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")


def _port_range(value: Any) -> Any:
    """A single port is a range of one."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    found = _PORTS.fullmatch(text) if isinstance(text, str) else None
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not 1 <= first <= last <= 65535:
        raise ValueError(f"expected a port, or a range such as 8000-8999, not {str(value)[:40]!r}")
    return text


def _network(value: Any) -> Any:
    try:
        return str(ipaddress.ip_network(value, strict=False)) if isinstance(value, str) else value
    except ValueError as error:
        raise ValueError(f"expected an address or a range such as 127.0.0.0/8: {error}") from None


PortRange = Annotated[
    str,
    BeforeValidator(_port_range),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": 65535},
                {"type": "string", "pattern": f"^{_PORTS.pattern}$"},
            ]
        }
    ),
]
Network = Annotated[str, BeforeValidator(_network)]
_List = BeforeValidator(as_tuple)


class HostPath(Model):
    """A path of the host that may be mounted, and all that is below it."""

    path: _Path
    """`*`: any, the engine's socket and the controller's own state folder included. Else those, and what
    holds them, are denied unless they are listed by their own path."""
    read_only: bool = False
    """Only mounts with `readOnly: true`."""


class Images(Model):
    """Which images may be run."""

    registries: Annotated[tuple[_Repository, ...], _List] = (ANY,)
    """Registries, or what the whole names of images begin with: `docker.io/library` has `busybox`."""
    tags: Annotated[tuple[_Tag, ...], _List] = (ANY,)
    """Patterns, of which a tag must match one; an image with a digest and without a tag has none."""
    denied_tags: Annotated[tuple[_Tag, ...], _List] = ()
    """Patterns, of which a tag must match none; an image without tag and digest has the tag `latest`."""
    require_digest: bool = False
    """Only images with a digest: `busybox@sha256:...`."""

    @property
    def limited(self) -> bool:
        """Whether there are images that may not be run."""
        return self.require_digest or bool(self.denied_tags) or not {ANY} <= {*self.registries} & {*self.tags}


class Build(Model):
    """Whether images may be built, and of what."""

    allowed: bool = True
    contexts: Annotated[tuple[_Folder, ...], _List] = ()
    """Folders of which builds may be made, and what is below them. The manifests of a watched folder may
    also be built of what is in that folder."""
    any_base_image: bool = False
    """Allow builds though images are limited: what a Dockerfile's FROM names is pulled unjudged."""


class Limits(Model):
    """The most that may be asked for; absent means no limit. Where there is one, it must be asked for."""

    memory: Bytes | None = None
    cpus: Annotated[Cpus, Field(gt=0)] | None = None


class Resources(Model):
    """What containers may use."""

    per_workload: Limits = Limits()
    """Of one workload or job."""
    per_environment: Limits = Limits()
    """Of all workloads and jobs of an environment together."""


class Objects(Model):
    """How many workloads and jobs there may be; absent means any number."""

    per_environment: Annotated[int, Field(ge=0)] | None = None
    total: Annotated[int, Field(ge=0)] | None = None


class Policy(Model):
    """What manifests may ask for. Absent rules are those of the preset that it `extends`."""

    extends: Preset = "restricted"
    host_paths: Annotated[tuple[HostPath, ...], _List] = ()
    privileged: bool = False
    capabilities: Annotated[tuple[_Capability, ...], _List] = ()
    """Those that may be added."""
    host_namespaces: Annotated[tuple[Namespace, ...], _List] = ()
    """Namespaces of the host that may be used."""
    devices: Annotated[tuple[_Device, ...], _List] = ()
    images: Images = Images()
    build: Build = Build()
    published_addresses: Annotated[tuple[Network, ...], _List] = ()
    """Where ports may be published."""
    host_ports: Annotated[tuple[PortRange, ...], _List] = ()
    """Ports of the host that may be asked for by number; one that the controller chooses always may."""
    resources: Resources = Resources()
    objects: Objects = Objects()
    environments: Annotated[int, Field(ge=0)] | None = None
    """How many there may be; absent means any number."""

    @property
    def has_caps(self) -> bool:
        """Whether something is counted over several objects."""
        counted = (
            self.objects.per_environment,
            self.objects.total,
            self.environments,
            self.resources.per_environment.memory,
            self.resources.per_environment.cpus,
        )
        return any(cap is not None for cap in counted)


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a policy file, for editors."""
    schema = Policy.model_json_schema(by_alias=True)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "e2e policy"
    return schema
