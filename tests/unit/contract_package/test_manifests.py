"""The kinds as models: what is written is read back, and the schema agrees with the models."""

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from e2e_api.manifests import (
    Environment,
    Manifest,
    Port,
    Volume,
    Workload,
    environment_of,
    json_schema,
    to_document,
)
from e2e_api.parsing import parse_documents

LABELS = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,10}[a-z0-9])?", fullmatch=True)
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20)
NAMES = st.text("ABCDEFxyz_.", min_size=1, max_size=8)
DURATIONS = st.sampled_from(["1s", "250ms", "1m30s", "10us"])
PORTS = st.one_of(
    st.integers(1, 65535),
    st.fixed_dictionaries(
        {"containerPort": st.integers(1, 65535)}, optional={"hostPort": st.integers(1, 65535)}
    ),
)
WORDS = st.lists(TEXT, min_size=1, max_size=3).filter(lambda words: bool(words[0]))
IMAGES = st.from_regex(
    r"([a-z]{1,5}\.io(:5000)?/)?[a-z0-9]{1,9}(:[A-Za-z0-9][A-Za-z0-9._]{0,8})?", fullmatch=True
)
SECRETS = st.one_of(
    st.fixed_dictionaries({"file": st.sampled_from(["db", "../x/db", "/run/secrets/db"])}),
    st.fixed_dictionaries({"variable": st.just("E2E_SECRET_DB")}),
    st.fixed_dictionaries({"value": TEXT}),
)
SPECS = st.fixed_dictionaries(
    {"image": IMAGES},
    optional={
        "imagePullPolicy": st.sampled_from(["Always", "IfNotPresent", "Never"]),
        "entrypoint": WORDS,
        "command": st.lists(TEXT, max_size=3),
        "env": st.dictionaries(NAMES, TEXT | SECRETS.map(lambda secret: {"valueFrom": secret}), max_size=3),
        "secretFiles": st.lists(st.fixed_dictionaries({"path": st.just("/s"), "from": SECRETS}), max_size=1),
        "user": st.sampled_from(["", "root", "1000:1000"]),
        "workingDir": TEXT.map(lambda text: f"/{text}"),
        "ports": st.dictionaries(LABELS, PORTS, max_size=1),
        "files": st.lists(st.fixed_dictionaries({"path": st.just("/a"), "content": TEXT}), max_size=1),
        "volumes": st.lists(st.fixed_dictionaries({"source": LABELS, "target": st.just("/x")}), max_size=1),
        "resources": st.fixed_dictionaries({}, optional={"memory": st.just("1Gi"), "cpus": st.just("500m")}),
        "readiness": st.fixed_dictionaries(
            {"exec": st.fixed_dictionaries({"command": WORDS})},
            optional={"timeout": DURATIONS, "startupTimeout": DURATIONS},
        ),
        "security": st.fixed_dictionaries({"privileged": st.booleans()}),
        "stop": st.fixed_dictionaries({"gracePeriod": DURATIONS}),
        "restartPolicy": st.sampled_from(["Never", "OnFailure", "Always"]),
        "state": st.sampled_from(["Running", "Stopped", "Killed", "Paused"]),
    },
)


def read(document: dict[str, Any]) -> Manifest:
    (found,) = parse_documents(yaml.safe_dump(document, allow_unicode=True).encode())
    assert not found.problems
    assert found.manifest is not None
    return found.manifest


@settings(deadline=None)
@given(name=LABELS, spec=SPECS, labels=st.dictionaries(NAMES, TEXT, max_size=2))
def test_what_is_written_is_read_back(name: str, spec: dict[str, Any], labels: dict[str, str]) -> None:
    document = {
        "apiVersion": "e2e/v1",
        "kind": "Workload",
        "metadata": {"name": name, "labels": labels},
        "spec": spec,
    }
    manifest = read(document)
    assert read(to_document(manifest)) == manifest
    assert to_document(read(to_document(manifest))) == to_document(manifest)


def test_defaults_are_not_written() -> None:
    manifest = read({"apiVersion": "e2e/v1", "kind": "Environment", "metadata": {"name": "a"}})
    assert to_document(manifest) == {"apiVersion": "e2e/v1", "kind": "Environment", "metadata": {"name": "a"}}


def test_entrypoint_absent_is_not_empty() -> None:
    head = {"apiVersion": "e2e/v1", "kind": "Workload", "metadata": {"name": "a"}}
    for spec in ({"image": "x"}, {"image": "x", "entrypoint": []}, {"image": "x", "command": []}):
        assert to_document(read({**head, "spec": spec}))["spec"] == spec


def test_the_environment_that_a_manifest_names() -> None:
    workload = {"metadata": {"name": "a"}, "spec": {"image": "x"}}
    assert environment_of(Workload.model_validate(workload)) is None
    workload["metadata"]["environment"] = "e"
    assert environment_of(Workload.model_validate(workload)) == "e"
    assert environment_of(Environment.model_validate({"metadata": {"name": "e"}})) == "e"
    own = {"metadata": {"name": "e", "environment": "e"}}
    assert environment_of(Environment.model_validate(own)) == "e"


def test_models_are_frozen_and_hold_no_lists() -> None:
    manifest = Workload.model_validate({"metadata": {"name": "a"}, "spec": {"image": "x", "command": ["y"]}})
    with pytest.raises(ValidationError):
        manifest.spec.image = "z"  # type: ignore[misc]
    assert manifest.spec.command == ("y",)


@pytest.mark.parametrize(
    ("source", "is_path"),
    [("data", False), ("/srv", True), ("./x", True), ("../x", True), (".", True), ("..", True)],
)
def test_volumes_and_host_paths(source: str, is_path: bool) -> None:
    assert Volume(source=source, target="/x").is_host_path is is_path


@pytest.mark.parametrize("source", ["Data", "a/b", "~", "a b", "$HOME", ""])
def test_no_sources(source: str) -> None:
    with pytest.raises(ValidationError):
        Volume(source=source, target="/x")


@pytest.mark.parametrize("source", [".hidden", ".x/y"])
def test_a_source_that_looks_relative_and_is_no_path(source: str) -> None:
    with pytest.raises(ValidationError):
        Volume(source=source, target="/x")


def test_a_port_is_a_number_or_a_mapping() -> None:
    assert Port.model_validate(80) == Port(container_port=80)
    assert Port.model_validate(Port(container_port=80)) == Port(container_port=80)
    for wrong in (True, "80", 80.0, None, [80], 0, 65536):
        with pytest.raises(ValidationError):
            Port.model_validate(wrong)


@pytest.mark.parametrize("name", ["a", "a-b", "0", "a" * 63, "x--y"])
def test_labels(name: str) -> None:
    assert Environment.model_validate({"metadata": {"name": name}}).metadata.name == name


@pytest.mark.parametrize("name", ["", "A", "-a", "a-", "a.b", "a_b", "a" * 64, "ä", "a\n", "a b", "../a"])
def test_no_labels(name: str) -> None:
    with pytest.raises(ValidationError):
        Environment.model_validate({"metadata": {"name": name}})


def test_the_schema_names_every_field() -> None:
    schema = json_schema()
    definitions = schema["$defs"]
    assert sorted(definitions["Workload"]["required"]) == ["apiVersion", "kind", "metadata", "spec"]
    assert sorted(definitions["Environment"]["required"]) == ["apiVersion", "kind", "metadata"]
    spec = definitions["WorkloadSpec"]
    assert spec["additionalProperties"] is False
    assert {"imagePullPolicy", "workingDir", "restartPolicy", "readiness"} <= spec["properties"].keys()
    assert not [name for name in spec["properties"] if "_" in name]
