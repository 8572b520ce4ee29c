"""The kinds of manifest: one YAML document each."""

from collections.abc import Callable
from typing import Annotated, Any, Literal, Self

from pydantic import Field, TypeAdapter, model_validator

from e2e_api.manifests.base import DnsLabel, Model, field_error
from e2e_api.manifests.files import METRIC_JOBS
from e2e_api.manifests.specs import ContainerFields, EnvironmentSpec, JobSpec, WorkloadSpec
from e2e_api.manifests.texts import LabelName

API_VERSION: Literal["e2e/v1"] = "e2e/v1"


class Metadata(Model):
    """Names an object."""

    name: DnsLabel
    environment: DnsLabel | None = None
    """Default: the first-level folder's name, else `default`."""
    labels: dict[LabelName, str] = {}


class _ContainerKind(Model):
    """What `Workload` and `Job` have in common."""

    api_version: Literal["e2e/v1"] = API_VERSION
    metadata: Metadata
    spec: Any

    @model_validator(mode="after")
    def _waits_for_others(self) -> Self:
        for number, dependency in enumerate(self.spec.depends_on):
            if dependency.name == self.metadata.name:
                raise field_error(f"spec.dependsOn.{number}.name", "it cannot depend on itself")
        return self


class Workload(_ContainerKind):
    """A container that is meant to keep running."""

    kind: Literal["Workload"] = "Workload"
    spec: WorkloadSpec


class Job(_ContainerKind):
    """A container that is meant to finish."""

    kind: Literal["Job"] = "Job"
    spec: JobSpec


class Environment(Model):
    """An isolated network, a shared directory, and the objects in it."""

    api_version: Literal["e2e/v1"] = API_VERSION
    kind: Literal["Environment"] = "Environment"
    metadata: Metadata
    spec: EnvironmentSpec = EnvironmentSpec()

    @model_validator(mode="after")
    def _own_environment(self) -> Self:
        if self.metadata.environment not in (None, self.metadata.name):
            raise field_error("metadata.environment", "leave it out, an Environment is its own")
        return self


ContainerManifest = Workload | Job
"""The kinds that make a container. Within an environment they share their names."""
Manifest = Workload | Job | Environment
KINDS: dict[str, type[Workload] | type[Job] | type[Environment]] = {
    "Workload": Workload,
    "Job": Job,
    "Environment": Environment,
}


def environment_of(manifest: Manifest) -> str | None:
    """The environment that the manifest names, if it does."""
    own = manifest.metadata.name if isinstance(manifest, Environment) else None
    return own or manifest.metadata.environment


def dependency_names(manifest: Manifest | None) -> tuple[str, ...]:
    """Names of the objects that its container's creation waits for."""
    spec = manifest.spec if manifest else None
    return tuple(item.name for item in spec.depends_on) if isinstance(spec, ContainerFields) else ()


def with_host_paths(manifest: Manifest, absolute: Callable[[str], str]) -> Manifest:
    """The manifest with what `absolute` makes of each path on the host that is relative, to its file."""

    def placed(path: str) -> str:
        return path if path.startswith("/") else absolute(path)

    spec, changes = manifest.spec, dict[str, Any]()
    if spec.volumes:
        changes["volumes"] = tuple(
            volume.model_copy(update={"source": placed(volume.source)}) if volume.is_host_path else volume
            for volume in spec.volumes
        )
    if isinstance(spec, ContainerFields) and spec.build is not None:
        changes["build"] = spec.build.model_copy(update={"context": placed(spec.build.context)})
    return manifest.model_copy(update={"spec": spec.model_copy(update=changes)}) if changes else manifest


def to_document(manifest: Manifest) -> dict[str, Any]:
    """The manifest as it was written: what nobody gave is left out."""
    written = manifest.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return {"apiVersion": manifest.api_version, "kind": manifest.kind, **written}


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of one document, for editors."""
    adapter: TypeAdapter[Manifest] = TypeAdapter(Annotated[Manifest, Field(discriminator="kind")])
    schema = adapter.json_schema(by_alias=True)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "e2e manifest"
    for name in KINDS:
        schema["$defs"][name]["required"] = sorted({*schema["$defs"][name]["required"], "apiVersion", "kind"})
    schema["$defs"]["Port"] = {
        "anyOf": [{"type": "integer", "minimum": 1, "maximum": 65535}, schema["$defs"]["Port"]]
    }
    schema["$defs"]["File"]["oneOf"] = _ways_to_a_text()
    schema["$defs"]["Secret"]["oneOf"] = [{"required": [source]} for source in ("file", "variable", "value")]
    _close(schema)
    return schema


def _ways_to_a_text() -> list[dict[str, Any]]:
    """Of a file: as it is, rendered, or rendered into what it is."""
    jobs = {"const": METRIC_JOBS}
    return [
        {"required": ["content"], "not": {"required": ["from"]}},
        {"required": ["from"], "not": {"required": ["content"]}, "properties": {"from": {"not": jobs}}},
        {"required": ["content", "from"], "properties": {"from": jobs}},
    ]


def _close(schema: Any) -> None:
    """A key that matches none of the patterns is wrong; pydantic leaves it open."""
    if isinstance(schema, dict):
        if "patternProperties" in schema:
            schema["additionalProperties"] = False
        for part in schema.values():
            _close(part)
    elif isinstance(schema, list):
        for part in schema:
            _close(part)
