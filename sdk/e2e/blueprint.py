"""Manifests out of code: what is defined on a blueprint is written down instead of started."""

from typing import Any, Unpack

import yaml

from e2e._sync.environment import Environment
from e2e._sync.job import Job
from e2e._sync.workload import Workload
from e2e.options import JobOptions, WorkloadOptions
from e2e_api.errors import InvalidArgument
from e2e_api.manifests import ContainerManifest, Manifest, to_document

_NOWHERE = "blueprint"


class Blueprint:
    """An environment on paper: takes the same definitions, and gives them as manifests for a folder.

    blueprint = e2e.Blueprint()
    e2edb.prometheus(blueprint, "prometheus-1")
    Path("manifests/prometheus.yaml").write_text(blueprint.to_yaml())
    """

    def __init__(self, environment: str = "") -> None:
        """`environment` is a DNS label; without, the folder that they are put in says it."""
        self.environment = environment
        """What the manifests name; may be empty."""
        self._environment = Environment(environment or _NOWHERE)  # never started
        self._defined: list[Workload | Job] = []

    def workload(self, name: str, **options: Unpack[WorkloadOptions]) -> Workload:
        """Defines a workload, as `Environment.workload` does."""
        found = self._environment.workload(name, **options)
        _check_keepable(found.manifest)
        self._defined.append(found)
        return found

    def job(self, name: str, **options: Unpack[JobOptions]) -> Job:
        """Defines a job, as `Environment.job` does."""
        found = self._environment.job(name, **options)
        _check_keepable(found.manifest)
        self._defined.append(found)
        return found

    @property
    def manifests(self) -> list[Manifest]:
        """What was defined, in that order."""
        return [defined.manifest for defined in self._defined]

    def to_yaml(self) -> str:
        """The manifests as YAML, one document each."""
        documents = [self._document(manifest) for manifest in self.manifests]
        return yaml.dump_all(documents, Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)

    def _document(self, manifest: Manifest) -> dict[str, Any]:
        document = to_document(manifest)
        metadata = {"name": document["metadata"]["name"]}
        if self.environment:
            metadata["environment"] = self.environment
        if labels := document["metadata"].get("labels"):
            metadata["labels"] = labels
        return {**document, "metadata": metadata}


def _check_keepable(manifest: ContainerManifest) -> None:
    """Raises InvalidArgument for a secret that would be written down."""
    if any(secret.value is not None for secret in manifest.spec.secrets):
        raise InvalidArgument(
            f"{manifest.metadata.name}: a manifest that is kept holds no secret: name where it is, "
            'as Secret(file="...") or Secret(variable="E2E_SECRET_...")'
        )


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as such."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's signature
        """Whatever stands there twice is written twice."""
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text.strip("\n") or text.endswith("\n") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
