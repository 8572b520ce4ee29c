"""Credentials for registries, from where `docker login` keeps them."""

from docker import auth
from docker.errors import DockerException
from docker.utils import parse_repository_tag

_UNUSABLE = (DockerException, OSError, ValueError, KeyError, TypeError, AttributeError)
"""What docker-py raises for settings that are wrong, or a helper that is not there."""


def split_reference(reference: str) -> tuple[str, str]:
    """Name, and tag or digest; the tag `latest` where there is neither."""
    name, tag = parse_repository_tag(reference)
    return name, tag or "latest"


def registry_of(reference: str) -> str:
    """The registry's name, `docker.io` where the reference has none. Raises ValueError for no reference."""
    if not reference:
        raise ValueError("an empty name is no image reference")
    try:
        registry, _ = auth.resolve_repository_name(split_reference(reference)[0])
    except (DockerException, IndexError) as error:
        raise ValueError(f"{reference!r} is no image reference: {error}") from error
    return str(registry)


def mirrored(reference: str, mirror: str) -> str:
    """Where a mirror has the image: its whole name below the mirror's.

    `quay.io/x/y:1` is `mirror.local:5000/quay.io/x/y:1` there, and `busybox:1` is
    `mirror.local:5000/docker.io/library/busybox:1`. The reference itself where there is no mirror, where it
    names the mirror, and for a digest, which no tag can stand for. Raises ValueError for no reference.
    """
    registry = registry_of(reference)
    name, tag = split_reference(reference)
    if not mirror or ":" in tag or reference.startswith(f"{mirror}/"):
        return reference
    path = name.removeprefix(f"{registry}/").removeprefix("index.docker.io/")
    if registry == "docker.io" and "/" not in path:
        path = f"library/{path}"
    return f"{mirror}/{registry}/{path}:{tag}"


def pull_headers(registry: str) -> dict[str, str]:
    """Read anew each time, so that a `docker login` of just now counts. May run a credential helper."""
    try:
        found = auth.resolve_authconfig(auth.load_config(), registry)
    except _UNUSABLE:
        return {}  # as the docker command does: without credentials, and the registry decides
    return {"X-Registry-Auth": _encoded(found)} if found else {}


def build_headers() -> dict[str, str]:
    """All credentials, since a build may pull from any registry."""
    try:
        found = auth.load_config().get_all_credentials()  # type: ignore[no-untyped-call]
    except _UNUSABLE:
        return {}
    if auth.INDEX_NAME in found:
        found.setdefault(auth.INDEX_URL, found[auth.INDEX_NAME])
    found = {registry: credentials for registry, credentials in found.items() if credentials}
    return {"X-Registry-Config": _encoded(found)} if found else {}


def _encoded(document: object) -> str:
    header = auth.encode_header(document)
    return header.decode() if isinstance(header, bytes) else str(header)
