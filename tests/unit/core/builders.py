"""Short ways to make the values that core tests are about."""

from datetime import UTC, datetime
from typing import Any

from e2e_api.manifests import ContainerManifest, Environment, Job, Workload
from e2e_controller.definitions import Claim
from e2e_controller.drivers.base import Container, ContainerPhase, Key
from e2e_controller.objects import FILE, WORKLOAD, Object, Rejection, Source

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def key(name: str = "web", environment: str = "test") -> Key:
    return Key(environment, WORKLOAD, name)


def file_key(path: str, environment: str = "test") -> Key:
    return Key(environment, FILE, path)


def workload(name: str = "web", **spec: Any) -> Workload:
    document = {"metadata": {"name": name}, "spec": {"image": "busybox:1.36", **spec}}
    return Workload.model_validate(document)


def job(name: str = "migrate", **spec: Any) -> Job:
    document = {"metadata": {"name": name}, "spec": {"image": "busybox:1.36", **spec}}
    return Job.model_validate(document)


def environment(name: str = "test", **spec: Any) -> Environment:
    return Environment.model_validate({"metadata": {"name": name}, "spec": spec})


def claim(path: str, manifest: Workload | Environment, line: int = 1, *, managed: bool = False) -> Claim:
    name = manifest.metadata.name
    environment_name = name if isinstance(manifest, Environment) else "test"
    return Claim(Key(environment_name, manifest.kind, name), Source(path, line, managed), manifest)


def rejected(path: str, claimed: Key, reason: Any = "Rejected", message: str = "bad") -> Claim:
    source = Source(path, 1)
    return Claim(claimed, source, rejection=Rejection(reason, message, source))


def object_of(manifest: ContainerManifest, *, deleting: bool = False, **changes: Any) -> Object:
    named = Key("test", manifest.kind, manifest.metadata.name)
    return Object(named, manifest, 1, source=Source("/m/a.yaml", 1), deleting=deleting, **changes)


def container(
    phase: ContainerPhase = ContainerPhase.RUNNING,
    *,
    id_: str = "c0ffee",
    spec_hash: str = "",
    **changes: Any,
) -> Container:
    started = None if phase is ContainerPhase.CREATED else NOW
    values: dict[str, Any] = {"started_at": started, "network_id": "net", "address": "10.0.0.2", **changes}
    return Container(id_, key(), spec_hash, "busybox:1.36", phase, created_at=NOW, **values)
