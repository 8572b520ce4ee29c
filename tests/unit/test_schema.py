"""The published JSON Schema says the same as the models do."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "proto" / "manifest.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
FOREIGN = ROOT / "examples" / "ci"
"""YAML of other programs."""
EXAMPLES = sorted(p for p in (ROOT / "examples").rglob("*.yaml") if not p.is_relative_to(FOREIGN))


def errors(document: Any) -> list[str]:
    return [error.message for error in VALIDATOR.iter_errors(document)]


def workload(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "e2e/v1",
        "kind": "Workload",
        "metadata": {"name": "a"},
        "spec": {"image": "x", **spec},
    }


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_examples_are_valid_and_name_the_schema(path: Path) -> None:
    text = path.read_text()
    for document in yaml.safe_load_all(text):
        assert errors(document) == []
    _, _, schema = text.splitlines()[0].partition("# yaml-language-server: $schema=")
    assert (path.parent / schema).resolve() == ROOT / "proto" / "manifest.schema.json"


@pytest.mark.parametrize(
    "spec",
    [
        {"ports": {"http": 80}},
        {"ports": {"http": {"containerPort": 80, "hostPort": 8080}}},
        {"resources": {"memory": "256Mi", "cpus": 0.5}},
        {"stop": {"gracePeriod": "1m30s"}},
        {"files": [{"path": "/a", "content": ""}, {"path": "/b", "from": "MetricTargets"}]},
        {"files": [{"path": "/a", "content": "a: b", "from": "MetricJobs"}]},
        {"readiness": {"log": {"pattern": "x"}, "timeout": "250ms"}},
        {"volumes": [{"source": source, "target": "/x"} for source in ("data", "/a b", "./x", "..", "../x")]},
    ],
)
def test_what_the_models_accept_the_schema_accepts(spec: dict[str, Any]) -> None:
    assert errors(workload(**spec)) == []


@pytest.mark.parametrize(
    "spec",
    [
        {"comand": ["x"]},
        {"ports": {"http": "80"}},
        {"resources": {"memory": "256Mb"}},
        {"stop": {"gracePeriod": "10 minutes"}},
        {"env": {"A": 1}},
        {"state": "Sleeping"},
        {"env": {"A=B": "c"}},
        {"ports": {"Http": 80}},
        {"volumes": [{"source": "A B", "target": "/x"}]},
        {"stop": {"signal": "SIGFOO"}},
        {"image": "UPPER/Case"},
        {"files": [{"path": "/a"}]},
        {"files": [{"path": "/a", "from": "MetricJobs"}]},
        {"files": [{"path": "/a", "content": "", "from": "MetricTargets"}]},
        {"files": [{"path": "/a", "from": "Targets"}]},
    ],
)
def test_what_the_models_reject_the_schema_rejects(spec: dict[str, Any]) -> None:
    assert errors(workload(**spec)) != []


def test_kind_and_version_are_required() -> None:
    for field in ("apiVersion", "kind", "metadata", "spec"):
        document = workload()
        del document[field]
        assert errors(document) != []
