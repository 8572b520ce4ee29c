"""Manifests out of code, and the catalog of ready-made ones."""

from importlib.metadata import EntryPoint

import pytest

import e2e
import e2edb
from e2e import Blueprint, catalog
from e2e_api.manifests import Manifest
from e2e_api.parsing import parse_documents


def read(text: str) -> list[Manifest]:
    documents = parse_documents(text.encode())
    assert [problem for document in documents for problem in document.problems] == []
    return [document.manifest for document in documents if document.manifest is not None]


def test_what_is_defined_is_written_down() -> None:
    blueprint = Blueprint("env")
    web = blueprint.workload(
        "web",
        image="busybox:1.36",
        command=["httpd", "-f"],
        ports={"http": 80},
        files={"/www/index.html": "one\ntwo\n", "/etc/one": "a line"},
        labels={"tier": "front"},
        metrics="http",
    )
    blueprint.job("fill", image="busybox:1.36", depends_on=[web])
    text = blueprint.to_yaml()
    assert "    content: |\n      one\n      two\n" in text
    first, second = read(text)
    assert (first.kind, first.metadata.name, first.metadata.environment) == ("Workload", "web", "env")  # type: ignore[union-attr]
    assert first.spec == web.manifest.spec
    assert second.kind == "Job"
    assert [manifest.metadata.name for manifest in blueprint.manifests] == ["web", "fill"]


def test_without_a_name_the_folder_says_it() -> None:
    blueprint = Blueprint()
    e2edb.prometheus(blueprint, "p")
    assert "environment:" not in blueprint.to_yaml()
    assert "labels: {}" not in blueprint.to_yaml()
    (manifest,) = read(blueprint.to_yaml())
    assert manifest.spec == blueprint.manifests[0].spec
    with pytest.raises(e2e.InvalidArgument, match="Not_A_Label"):
        Blueprint("Not_A_Label")


def test_whatever_the_catalog_has_can_be_applied() -> None:
    names = [system.name for system in catalog.systems()]
    assert names == sorted(names)
    assert {"monitoring", "prometheus", "thanos"} <= set(names)
    for name in names:
        text = catalog.manifests(name, "env")
        assert text.startswith(f"# {name}: ")
        assert {manifest.metadata.environment for manifest in read(text)} == {"env"}  # type: ignore[union-attr]


def test_monitoring_watches_with_nothing_else() -> None:
    by_name = {manifest.metadata.name: manifest for manifest in read(catalog.manifests("monitoring"))}
    (targets,) = [file for file in by_name["monitoring"].spec.files if file.from_ == "MetricTargets"]  # type: ignore[union-attr]
    (config, *_) = by_name["monitoring"].spec.files  # type: ignore[union-attr]
    assert targets.path in (config.content or "")


def test_other_packages_offer_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    def entry_points(group: str) -> list[EntryPoint]:
        return [EntryPoint("b", f"{__name__}:MINE", group), EntryPoint("a", "e2edb.catalog:SYSTEMS", group)]

    monkeypatch.setattr(catalog, "entry_points", entry_points)
    summaries = {system.name: system.summary for system in catalog.systems()}
    assert summaries["mine"] == "Mine."
    assert summaries["thanos"] != "Mine too."
    assert read(catalog.manifests("mine"))[0].metadata.name == "web"
    with pytest.raises(e2e.NotFound, match="the catalog has no 'other', only alertmanager, "):
        catalog.manifests("other")


MINE = [
    catalog.System("mine", "Mine.", lambda env: env.workload("web", image="web")),
    catalog.System("thanos", "Mine too.", lambda env: env.workload("web", image="web")),
]
