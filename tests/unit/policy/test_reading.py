"""Policy files: what is wrong with them is told with its place; what is absent is the preset's."""

import json
import os
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from e2e_api.manifests import EnvironmentSpec
from e2e_api.parsing import parse_documents
from e2e_controller.policy import (
    PRESETS,
    choose_policy,
    load_policy,
    make_judge,
    parse_policy,
    wanted_of_manifest,
)

ROOT = Path(__file__).resolve().parents[3]
SCHEMA = json.loads((ROOT / "proto" / "policy.schema.json").read_text())

WRONG = [
    ("", "expected one mapping"),
    ("- a\n", "1:1: expected one mapping"),
    ("privileged: true\n---\nprivileged: true\n", "3:1: expected one mapping"),
    ("privileged: [\n", "not YAML"),
    ("privileged: 1\n", "1:13: privileged: expected true or false, not '1'"),
    ("privileged: true\nprivileged: false\n", "stands there twice"),
    ("priviledged: true\n", "1:1: priviledged: unknown field; did you mean privileged?"),
    ("extends: open\n", "1:10: extends: expected 'permissive' or 'restricted', not 'open'"),
    ("hostPaths:\n- path: data\n", "2:9: hostPaths.0.path: expected an absolute path"),
    (
        "hostPaths:\n- path: /tmp/*\n",
        "2:9: hostPaths.0.path: expected an absolute path that begins with /, and no pattern, as a path "
        "stands for all that is below it; or * for any, not '/tmp/*'",
    ),
    ("hostPaths: [{path: '/srv/[ab]'}]\n", "hostPaths.0.path: expected an absolute path"),
    ("hostPaths: [{path: '/srv/a?'}]\n", "hostPaths.0.path: expected an absolute path"),
    (
        "build: {contexts: ['/src/*']}\n",
        "build.contexts.0: expected an absolute path that begins with /, and no",
    ),
    (
        "devices: ['/dev/tty*']\n",
        "devices.0: expected a path below /dev, each by itself and without patterns",
    ),
    ("hostPaths: /data\n", "1:12: hostPaths: expected a list, not '/data'"),
    ("hostPaths: [{path: /data, writable: true}]\n", "unknown field"),
    ("capabilities: [sys_admin]\n", "capabilities.0: expected a capability such as NET_ADMIN"),
    ("hostNamespaces: [user]\n", "hostNamespaces.0: expected 'network'"),
    ("devices: [kvm]\n", "devices.0: expected a path below /dev"),
    ("images: {registries: ['https://quay.io']}\n", "images.registries.0: expected a registry"),
    ("publishedAddresses: [localhost]\n", "publishedAddresses.0: expected an address or a range"),
    ("hostPorts: [9-1]\n", "hostPorts.0: expected a port, or a range"),
    ("hostPorts: [0]\n", "hostPorts.0: expected a port, or a range"),
    ("hostPorts: [70000]\n", "hostPorts.0: expected a port, or a range"),
    ("resources: {perWorkload: {memory: lots}}\n", "resources.perWorkload.memory: expected a quantity"),
    ("objects: {total: -1}\n", "objects.total: expected greater than or equal to 0"),
    ("build: {contexts: ['*']}\n", "build.contexts.0: expected an absolute path"),
]


@pytest.mark.parametrize(("text", "message"), WRONG)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"policy\.yaml") as wrong:
        load_policy(str(file))
    assert message in str(wrong.value)


def test_all_that_is_wrong_is_told() -> None:
    _, problems = parse_policy(b"privileged: 1\ncapabilities: [x]\n")
    assert len(problems) == 2


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="No such file or directory; there are the policies permissive and"):
        load_policy(str(tmp_path / "absent"))


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    """Another read of it might never end."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="is a pipe, which can be read once"):
        load_policy(str(tmp_path / "pipe"))


def test_what_is_absent_is_denied() -> None:
    """A rule that was forgotten opens nothing."""
    policy, problems = parse_policy(b"privileged: true\n")
    assert problems == ()
    assert policy == PRESETS["restricted"].model_copy(update={"privileged": True})


def test_rules_are_those_of_the_preset_field_by_field() -> None:
    policy, _ = parse_policy(
        b"extends: permissive\nimages: {requireDigest: true}\nbuild: {contexts: [/src]}\n"
    )
    assert policy.privileged
    assert policy.images.require_digest
    assert policy.images.registries == ("*",)
    assert policy.build.contexts == ("/src",)
    assert policy.build.any_base_image


def test_lists_count_as_a_whole() -> None:
    policy, _ = parse_policy(b"capabilities: []\n")
    assert policy.capabilities == ()


@pytest.mark.parametrize(
    ("given", "addresses", "in_container", "embedded", "expected"),
    [
        ("", ["unix:///a"], False, False, "permissive"),
        ("", ["unix:///a"], True, False, "restricted"),
        ("", ["unix:///a"], True, True, "permissive"),
        ("", ["unix:///a", "127.0.0.1:1"], False, False, "restricted"),
        ("", ["127.0.0.1:1"], False, True, "restricted"),
        ("permissive", ["127.0.0.1:1"], True, False, "permissive"),
        ("restricted", ["unix:///a"], False, True, "restricted"),
    ],
)
def test_the_default(
    given: str, addresses: list[str], in_container: bool, embedded: bool, expected: str
) -> None:
    chosen = choose_policy(given, addresses, in_container=in_container, embedded=embedded)
    assert chosen.extends == expected


DOCUMENTED = re.findall(r"^```yaml\n(.*?)^```", (ROOT / "docs" / "policy.md").read_text(), re.M | re.S)


def test_what_the_documentation_gives_is_right() -> None:
    assert len(DOCUMENTED) == 2
    for text in DOCUMENTED:
        assert parse_policy(text.encode())[1] == ()
        assert list(jsonschema.Draft202012Validator(SCHEMA).iter_errors(yaml.safe_load(text))) == []


def test_every_rule_is_documented() -> None:
    table = (ROOT / "docs" / "policy.md").read_text().partition("## Rules")[2].partition("##")[0]
    for name, part in SCHEMA["properties"].items():
        assert name == "extends" or f"`{name}" in table, name
        for below in SCHEMA["$defs"].get(part.get("$ref", "").rpartition("/")[2], {}).get("properties", {}):
            assert f"`{name}.{below}`" in table, below


def test_cadvisor_is_allowed_by_the_lines_that_are_documented(tmp_path: Path) -> None:
    manifests = ROOT / "examples/manifests/standalone/monitoring-cadvisor.yaml"
    for text, expected in (("", ["hostPaths"] * 4), (DOCUMENTED[-1], [])):
        policy, _ = parse_policy((text or "extends: restricted").encode())
        judge = make_judge(policy, tmp_path)
        (document,) = parse_documents(manifests.read_bytes())
        assert document.manifest is not None
        wanted = wanted_of_manifest(document.manifest, "e", tmp_path, EnvironmentSpec(), watched=True)
        assert [denial.rule for denial in judge.judge(wanted)] == expected


def test_the_schema_agrees_with_the_models() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    validator = jsonschema.Draft202012Validator(SCHEMA)
    good = """
        extends: restricted
        hostPaths: [{path: /data, readOnly: true}, {path: "*"}]
        capabilities: [NET_ADMIN]
        hostNamespaces: [pid]
        hostPorts: [80, 8000-8999]
        publishedAddresses: [127.0.0.0/8]
        resources: {perWorkload: {memory: 1Gi, cpus: 500m}}
        objects: {total: 3}
        environments: 2
    """
    assert [e.message for e in validator.iter_errors(yaml.safe_load(good))] == []
    assert parse_policy(good.encode())[1] == ()
    for bad in ("privileged: 1", "unknown: 1", "hostPaths: [{path: data}]", "objects: {total: -1}"):
        assert list(validator.iter_errors(yaml.safe_load(bad)))
