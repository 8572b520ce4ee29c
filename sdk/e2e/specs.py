"""Turns options into manifests."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from pydantic import ValidationError

from e2e.options import JobOptions, Named, WorkloadOptions
from e2e_api.errors import InvalidArgument
from e2e_api.manifests import (
    Build,
    ContainerFields,
    Dependency,
    EnvironmentSpec,
    ExecProbe,
    File,
    GrpcProbe,
    HealthcheckProbe,
    HttpProbe,
    Job,
    JobSpec,
    LogProbe,
    Manifest,
    Metadata,
    Model,
    Probe,
    Readiness,
    Resources,
    Secret,
    SecretFile,
    State,
    Stop,
    TcpProbe,
    ValueFrom,
    Volume,
    Workload,
    WorkloadSpec,
    to_document,
)
from e2e_api.quantities import format_duration

_M = TypeVar("_M")
_PROBES: dict[type[Model], str] = {
    HttpProbe: "http",
    TcpProbe: "tcp",
    ExecProbe: "exec",
    GrpcProbe: "grpc",
    LogProbe: "log",
    HealthcheckProbe: "healthcheck",
}


def new_manifest(environment: str, name: str, options: WorkloadOptions) -> Workload:
    """The manifest for these options. Raises InvalidArgument, naming each wrong field."""
    fields = _workload_fields(options, None)
    return _valid(
        f"workload {name!r}", lambda: _workload(environment, name, options.get("labels", {}), fields)
    )


def new_job(environment: str, name: str, options: JobOptions) -> Job:
    """The manifest of a job. Raises InvalidArgument, naming each wrong field."""

    def make() -> Job:
        fields = _fields(options, JobOptions, None)
        return Job(metadata=_metadata(environment, name, options.get("labels", {})), spec=JobSpec(**fields))

    return _valid(f"job {name!r}", make)


def changed_manifest(manifest: Workload, options: WorkloadOptions) -> Workload:
    """The manifest with some options changed. Raises InvalidArgument, naming each wrong field."""

    def change() -> Workload:
        fields = {field: getattr(manifest.spec, field) for field in manifest.spec.model_fields_set}
        for given, other in (("image", "build"), ("build", "image"), ("build", "image_pull_policy")):
            if given in options:
                fields.pop(other, None)
        fields |= _workload_fields(options, manifest.spec)
        metadata = manifest.metadata
        labels = options.get("labels", metadata.labels)
        return _workload(metadata.environment or "", metadata.name, labels, fields)

    return _valid(f"workload {manifest.metadata.name!r}", change)


def with_state(manifest: Workload, state: State) -> Workload:
    """The manifest with another `state`."""
    return manifest.model_copy(update={"spec": manifest.spec.model_copy(update={"state": state})})


def url_scheme(manifest: Workload, port: str) -> str:
    """`http` or `https`: as the probe or the metrics of that port have it."""
    readiness, metrics = manifest.spec.readiness, manifest.spec.metrics
    probe = readiness.http if readiness is not None else None
    for found in (probe, metrics):
        if found is not None and found.port == port:
            return found.scheme.lower()
    return "http"


def environment_spec(
    *,
    resources: Resources | None,
    volumes: Sequence[Volume],
    labels: Mapping[str, str],
    keep_on_failure: bool = False,
    ttl: float | None = None,
) -> EnvironmentSpec | None:
    """The environment's defaults and lifetime, or None when there is nothing to say. `ttl` in seconds."""
    if ttl is not None and ttl <= 0:
        raise InvalidArgument(f"ttl: expected seconds above 0, not {ttl}")
    lifetime: dict[str, Any] = {"keep_on_failure": True} if keep_on_failure else {}
    if ttl is not None:
        lifetime["ttl"] = ttl
    if resources is None and not volumes and not labels and not lifetime:
        return None
    return EnvironmentSpec(
        resources=resources or Resources(), volumes=_volumes(volumes), labels=dict(labels), **lifetime
    )


SEPARATOR = "\n---\n"
"""Of documents."""


def to_documents(manifests: Iterable[Manifest]) -> str:
    """The manifests as text for Apply: one line of JSON each, which is YAML too."""
    return SEPARATOR.join(json.dumps(to_document(manifest)) for manifest in manifests)


def _workload(environment: str, name: str, labels: Mapping[str, str], fields: Mapping[str, Any]) -> Workload:
    return Workload(metadata=_metadata(environment, name, labels), spec=WorkloadSpec(**fields))


def _metadata(environment: str, name: str, labels: Mapping[str, str]) -> Metadata:
    return Metadata(name=name, environment=environment or None, labels=dict(labels))


def _valid(what: str, make: Callable[[], _M]) -> _M:
    try:
        return make()
    except ValidationError as error:
        found = [
            (".".join(str(part) for part in item["loc"]), _in_our_words(item["msg"], item["input"]))
            for item in error.errors()
        ]
        lines = [f"{what} cannot be:"]
        lines += [f"{field}: {message}" if field else message for field, message in found]
        raise InvalidArgument("\n  ".join(lines), violations=found) from None


def _in_our_words(message: str, given: object) -> str:
    """What pydantic says, as the manifests' parser would."""
    wanted = message.removeprefix("Input should be ")
    return message.removeprefix("Value error, ") if wanted == message else f"expected {wanted}, not {given!r}"


def _workload_fields(options: WorkloadOptions, base: WorkloadSpec | None) -> dict[str, Any]:
    fields = _fields(options, WorkloadOptions, base)
    if "startup_timeout" in options:
        readiness = fields.get("readiness", base.readiness if base else None)
        if readiness is None:
            raise InvalidArgument("startup_timeout needs a readiness probe")
        fields["readiness"] = _changed(readiness, "startup_timeout", options["startup_timeout"])
    return fields


def _fields(
    options: WorkloadOptions | JobOptions, known: type, base: ContainerFields | None
) -> dict[str, Any]:
    """The options as fields of a spec; `base` has what flat options only change a part of."""
    convert: dict[str, Callable[[Any], Any]] = {
        "build": _build,
        "command": lambda value: _words("command", value),
        "entrypoint": lambda value: _words("entrypoint", value),
        "env": _variables,
        "ports": dict,
        "files": _files,
        "secret_files": _secret_files,
        "volumes": _volumes,
        "depends_on": _dependencies,
        "readiness": _readiness,
        "metrics": _page,
        "profiles": _page,
    }
    flat = {"labels", "startup_timeout", "grace_period"}
    unknown = set(options) - get_type_hints(known).keys()
    if unknown:
        kind = known.__name__.removesuffix("Options").lower()
        raise InvalidArgument(f"unknown option of a {kind}: {', '.join(sorted(unknown))}")
    given: dict[str, Any] = dict(options)
    fields = {
        field: convert[field](value) if field in convert else value
        for field, value in given.items()
        if field not in flat
    }
    if "grace_period" in options:
        stop = fields.get("stop", base.stop if base else Stop())
        fields["stop"] = _changed(stop, "grace_period", options["grace_period"])
    return fields


def _changed(model: Any, field: str, seconds: float) -> Any:
    """A copy with one duration changed, validated again."""
    values = {name: getattr(model, name) for name in model.model_fields_set if name != field}
    for name in ("timeout", "period", "startup_timeout"):
        if name in values:
            values[name] = format_duration(values[name])
    return type(model)(**values, **{field: format_duration(seconds)})


def _page(value: Model | str | None) -> Any:
    """Where something is served; a text is the port's name."""
    return {"port": value} if isinstance(value, str) else value


def _words(field: str, value: Sequence[str]) -> tuple[str, ...]:
    if isinstance(value, str):
        raise InvalidArgument(f'{field}: expected a list of words, such as ["sleep", "60"], not one text')
    return tuple(value)


def _build(value: Build | str) -> Build:
    build = Build(context=value) if isinstance(value, str) else value
    return build.model_copy(update={"context": str(Path(build.context).absolute())})


def _files(value: Mapping[str, str] | Sequence[File]) -> tuple[File | dict[str, str], ...]:
    if isinstance(value, Mapping):
        return tuple({"path": path, "content": content} for path, content in value.items())
    return tuple(value)


def _variables(value: Mapping[str, str | Secret]) -> dict[str, str | ValueFrom]:
    return {
        name: ValueFrom(value_from=given) if isinstance(given, Secret) else given
        for name, given in value.items()
    }


def _secret_files(
    value: Mapping[str, Secret] | Sequence[SecretFile],
) -> tuple[SecretFile | dict[str, Any], ...]:
    if isinstance(value, Mapping):
        return tuple({"path": path, "from": secret} for path, secret in value.items())
    return tuple(value)


def _volumes(value: Sequence[Volume]) -> tuple[Volume, ...]:
    return tuple(
        volume.model_copy(update={"source": str(Path(volume.source).absolute())})
        if volume.is_host_path
        else volume
        for volume in value
    )


def _dependencies(value: Sequence[str | Dependency | Named]) -> tuple[Dependency, ...]:
    if isinstance(value, str):
        raise InvalidArgument(f"depends_on: expected a list, not the one text {value!r}")
    named = (item if isinstance(item, str | Dependency) else item.name for item in value)
    return tuple(item if isinstance(item, Dependency) else Dependency(name=item) for item in named)


def _readiness(value: Readiness | Probe | None) -> Readiness | None:
    if value is None or isinstance(value, Readiness):
        return value
    field = _PROBES.get(type(value))
    if field is None:
        raise InvalidArgument(f"readiness: {value!r} is no probe")
    return Readiness.model_validate({field: value})
