"""Files that tell Prometheus, in its `file_sd` format, which workloads of an environment to scrape."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, unquote

from e2e_api.manifests import (
    METRIC_JOBS,
    ContainerFields,
    EnvironmentSpec,
    File,
    Metrics,
    Profiles,
    Rendered,
    WorkloadSpec,
)
from e2e_api.prometheus import with_jobs
from e2e_controller.drivers.base import Key
from e2e_controller.objects import CONTAINER_KINDS, ENVIRONMENT, Object

SOURCES: dict[Rendered, Callable[[WorkloadSpec], Metrics | Profiles | None]] = {
    "MetricTargets": lambda spec: spec.metrics,
    "ProfileTargets": lambda spec: spec.profiles,
}


class TargetReaders:
    """Who has such a file, so that it is looked at when another workload's target changes."""

    guarded: dict[str, set[str]]
    """By environment: names of workloads whose pages ask for credentials, or have done so."""

    def __init__(self, enqueue: Callable[[Key], None]) -> None:
        self._enqueue = enqueue
        self._readers: dict[str, set[Key]] = {}  # by environment
        self.guarded = {}

    def changed(self, key: Key, before: Object | None, after: Object | None) -> None:
        """To be called with each change of an object; None: it was, or is, not there."""
        if key.kind == ENVIRONMENT and after is None:
            self.guarded.pop(key.environment, None)
        if key.kind not in CONTAINER_KINDS or _said(before) == _said(after):
            return
        if after is not None and job(after, {}):
            self.guarded.setdefault(key.environment, set()).add(key.name)
        readers = self._readers.setdefault(key.environment, set())
        (readers.add if after is not None and reads_targets(after) else readers.discard)(key)
        if not readers:
            del self._readers[key.environment]
        elif _targets_of(before) != _targets_of(after):
            for reader in readers:
                self._enqueue(reader)


def reads_targets(object_: Object) -> bool:
    """Whether it has a file whose text is rendered from the objects of its environment."""
    spec = object_.manifest.spec if object_.manifest else None
    return isinstance(spec, ContainerFields) and any(file.from_ is not None for file in spec.files)


def with_targets(
    object_: Object,
    environment: Object | None,
    neighbours: Callable[[], Iterable[Object]],
    guarded: Iterable[str] = (),
) -> Object:
    """The object with the texts of such files in place. `neighbours`: the objects of its environment.

    `guarded`: names of those that ask for credentials, or have done so.
    """
    manifest = object_.manifest
    if manifest is None or not isinstance(manifest.spec, ContainerFields) or not reads_targets(object_):
        return object_
    defaults = environment.manifest.spec if environment and environment.manifest else None
    labels = defaults.labels if isinstance(defaults, EnvironmentSpec) else {}
    objects = tuple(neighbours())

    def filled(file: File) -> File:
        if file.from_ is None:
            return file
        if file.from_ == METRIC_JOBS:
            text = with_jobs(file.content or "", jobs(objects, labels, guarded))
        else:
            text = render(file.from_, objects, labels)
        return file.model_copy(update={"content": text})

    spec = manifest.spec.model_copy(update={"files": tuple(filled(file) for file in manifest.spec.files)})
    return replace(object_, manifest=manifest.model_copy(update={"spec": spec}))


def render(source: Rendered, objects: Iterable[Object], defaults: Mapping[str, str]) -> str:
    """The file's text, the same for the same objects; `defaults`: labels that all objects have."""
    found = [target(source, object_, defaults) for object_ in sorted(objects, key=lambda o: o.key)]
    return json.dumps([entry for entry in found if entry is not None], indent=2, sort_keys=True) + "\n"


def target(source: Rendered, object_: Object, defaults: Mapping[str, str]) -> dict[str, Any] | None:
    """The entry of one object: of a workload that serves such pages, whatever its state."""
    spec = object_.manifest.spec if object_.manifest and not object_.deleting else None
    page = SOURCES[source](spec) if isinstance(spec, WorkloadSpec) else None
    if page is None or not isinstance(spec, WorkloadSpec):
        return None
    name, (path, _, query) = object_.key.name, page.path.partition("?")
    address = f"{name}:{spec.ports[page.port].container_port}"
    own = {**defaults, **object_.labels}
    labels = {
        # Of two that become one, the first in the alphabet counts.
        **{label_name(name): own[name] for name in sorted(own, reverse=True)},
        "job": name,
        "instance": address,
        "environment": object_.key.environment,
        "workload": name,
        "__scheme__": page.scheme,
        "__metrics_path__": unquote(path),  # Prometheus quotes it
        **_parameters(query),
        **_authentication(page),
    }
    return {"targets": [address], "labels": labels}


def jobs(
    objects: Iterable[Object], defaults: Mapping[str, str], guarded: Iterable[str] = ()
) -> list[dict[str, Any]]:
    """Prometheus' scrape jobs for the pages that ask for credentials, which files of targets cannot carry.

    Of those that are gone a job without targets stays: Prometheus ends the series of targets that it loses,
    but not those of a job that it loses.
    """
    gone = {name: {"job_name": _job_name(name)} for name in guarded}
    found = {object_.key.name: entry for object_ in objects if (entry := job(object_, defaults))}
    return [entry for _, entry in sorted({**gone, **found}.items())]


def job(object_: Object, defaults: Mapping[str, str]) -> dict[str, Any] | None:
    """The job of one object; None where its page is for everybody, or it has none."""
    entry = target("MetricTargets", object_, defaults)
    spec = object_.manifest.spec if object_.manifest else None
    page = spec.metrics if isinstance(spec, WorkloadSpec) else None
    if entry is None or page is None or not (shown := _shown(page)):
        return None
    name = page.tls.server_name if page.tls is not None else None
    # As in the job of all the others, nobody but the environment's containers is in its network.
    tls = {"insecure_skip_verify": True, **({"server_name": name} if name else {})}
    return {
        "job_name": _job_name(object_.key.name),
        "static_configs": [entry],
        **shown,
        "tls_config": tls,
    }


def _job_name(workload: str) -> str:
    return f"credentials of {workload}"


def _shown(page: Metrics) -> dict[str, Any]:
    """What is shown to the page's server, in the words of a scrape job."""
    if page.basic_auth is not None:
        return {"basic_auth": {"username": page.basic_auth.username, "password": page.basic_auth.password}}
    return {} if page.bearer_token is None else {"authorization": {"credentials": page.bearer_token}}


def label_name(name: str) -> str:
    """As Prometheus wants it: `app.kubernetes.io/name` is `app_kubernetes_io_name`; two `_` are its own."""
    sanitized = re.sub(r"[^a-zA-Z0-9_]", "_", name)
    return re.sub(r"^(?=[0-9])|^_+", "_", sanitized)


def _parameters(query: str) -> dict[str, str]:
    """Of a path's query, what labels can express: one value of each name that a label may have."""
    found = reversed(parse_qsl(query, keep_blank_values=True))
    return {f"__param_{name}": value for name, value in found if re.fullmatch("[a-zA-Z0-9_]+", name)}


def _authentication(page: Metrics | Profiles) -> dict[str, str]:
    """What Prometheus cannot be told here is said, for its configuration to tell such targets apart."""
    if isinstance(page, Profiles) or (page.basic_auth is None and page.bearer_token is None):
        return {}
    return {"__meta_e2e_auth": "basic" if page.basic_auth is not None else "bearer"}


def _said(object_: Object | None) -> tuple[object, ...]:
    return (object_.manifest, object_.deleting) if object_ is not None else (None, True)


def _targets_of(object_: Object | None) -> list[dict[str, Any]]:
    if object_ is None:
        return []
    found = [*(target(source, object_, {}) for source in SOURCES), job(object_, {})]
    return [entry for entry in found if entry is not None]
