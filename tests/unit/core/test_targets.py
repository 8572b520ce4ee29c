"""Files of scrape targets: what they say of which objects."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e_api.manifests import Workload
from e2e_controller.directories import Directories
from e2e_controller.objects import Object
from e2e_controller.reconcile.desired import desired_container
from e2e_controller.targets import job as scrape_job
from e2e_controller.targets import label_name, render, target, with_targets

from .builders import environment, job, key, object_of, workload

WEB: dict[str, Any] = {"ports": {"http": 8080, "pprof": 6060}, "metrics": {"port": "http"}}


def labelled(labels: dict[str, str], name: str = "web", **spec: Any) -> Object:
    document = {"metadata": {"name": name, "labels": labels}, "spec": {"image": "busybox:1.36", **spec}}
    return object_of(Workload.model_validate(document))


def labels_of(object_: Object, source: Any = "MetricTargets", **defaults: str) -> dict[str, str]:
    entry = target(source, object_, defaults)
    assert entry is not None
    return dict(entry["labels"])


def test_an_instrumented_workload_is_a_target() -> None:
    assert target("MetricTargets", object_of(workload(**WEB)), {}) == {
        "targets": ["web:8080"],
        "labels": {
            "job": "web",
            "instance": "web:8080",
            "environment": "test",
            "workload": "web",
            "__metrics_path__": "/metrics",
            "__scheme__": "http",
        },
    }


def test_a_profiled_one_is_another() -> None:
    profiled = object_of(workload(**WEB, profiles={"port": "pprof", "scheme": "https"}))
    labels = labels_of(profiled, "ProfileTargets")
    assert labels["instance"] == "web:6060"
    assert (labels["__metrics_path__"], labels["__scheme__"]) == ("/debug/pprof", "https")
    assert labels_of(profiled)["instance"] == "web:8080"
    assert target("ProfileTargets", object_of(workload(**WEB)), {}) is None


@pytest.mark.parametrize(
    "other",
    [
        object_of(workload(ports={"http": 80})),
        object_of(job()),
        object_of(workload(**WEB), deleting=True),
        Object(key(), None, 1),
    ],
    ids=["not instrumented", "a job", "being deleted", "rejected from the first"],
)
def test_others_are_none(other: Object) -> None:
    assert target("MetricTargets", other, {}) is None


def test_own_labels_are_there_in_words_that_prometheus_allows_and_override_nothing() -> None:
    own = {"app.kubernetes.io/name": "shop", "job": "mine", "9": "nine", "__address__": "evil", "team": "b"}
    labels = labels_of(labelled(own, **WEB), team="a", zone="z")
    assert labels.pop("job") == "web"
    assert {name: labels[name] for name in labels if not name.startswith("__")} == {
        "app_kubernetes_io_name": "shop",
        "_9": "nine",
        "_address__": "evil",
        "team": "b",
        "zone": "z",
        "instance": "web:8080",
        "environment": "test",
        "workload": "web",
    }


def test_of_two_labels_that_become_one_the_first_in_the_alphabet_counts() -> None:
    for own in ({"a.b": "1", "a-b": "2"}, {"a-b": "2", "a.b": "1"}):
        assert labels_of(labelled(own, **WEB))["a_b"] == "2"
    assert label_name("äöü") == "_"


def test_a_path_with_a_query_and_quoted_characters() -> None:
    page = {"port": "http", "path": "/a%20b?format=text&match[]=up&x=1&x=2&flag", "scheme": "https"}
    labels = labels_of(object_of(workload(**{**WEB, "metrics": page})))
    assert labels["__metrics_path__"] == "/a b"
    assert labels["__scheme__"] == "https"
    parameters = {name: value for name, value in labels.items() if name.startswith("__param_")}
    assert parameters == {"__param_format": "text", "__param_x": "1", "__param_flag": ""}


@pytest.mark.parametrize(
    ("how", "kind"),
    [
        ({"basicAuth": {"username": "a", "password": "secret"}}, "basic"),
        ({"bearerToken": "secret"}, "bearer"),
    ],
)
def test_a_page_that_asks_for_credentials_is_told_apart_without_them(how: dict[str, Any], kind: str) -> None:
    guarded = object_of(workload(**{**WEB, "metrics": {"port": "http", **how}}))
    assert labels_of(guarded)["__meta_e2e_auth"] == kind
    assert "secret" not in render("MetricTargets", [guarded], {})
    assert "__meta_e2e_auth" not in labels_of(object_of(workload(**WEB)))


def test_the_text_is_the_same_in_whatever_order_the_objects_are() -> None:
    objects = [labelled({"b": "1", "a": "2"}, name, **WEB) for name in ("web", "api", "db")]
    text = render("MetricTargets", objects, {})
    assert [entry["targets"] for entry in json.loads(text)] == [["api:8080"], ["db:8080"], ["web:8080"]]
    assert render("MetricTargets", reversed(objects), {}) == text
    assert json.loads(render("MetricTargets", [], {})) == []


def test_it_becomes_a_live_file_whose_text_is_no_part_of_what_the_container_is() -> None:
    reader = object_of(workload("prometheus", files=[{"path": "/targets.json", "from": "MetricTargets"}]))

    def desired(*neighbours: Object) -> Any:
        defaults = object_of(environment(labels={"zone": "z"}))  # type: ignore[arg-type]
        filled = with_targets(reader, defaults, lambda: neighbours)
        return desired_container(filled, defaults, Directories(Path("/state")), mount_shared=True)

    none, one = desired(), desired(object_of(workload(**WEB)))
    assert none.spec_hash == one.spec_hash
    assert one.live_files[0].on_change == "None"
    (entry,) = json.loads(one.live_files[0].content.content)
    assert (entry["targets"], entry["labels"]["zone"]) == (["web:8080"], "z")
    assert {file.path for file in one.spec.files} == {"/targets.json", "/.e2e-notes.json"}


def guarded(name: str = "web", **how: Any) -> Object:
    return labelled({"team": "a"}, name, **{**WEB, "metrics": {"port": "http", **how}})


def rendered(reader: Object, *neighbours: Object) -> str:
    manifest = with_targets(reader, None, lambda: neighbours).manifest
    assert isinstance(manifest, Workload)
    return manifest.spec.files[0].content or ""


def test_a_page_that_asks_for_credentials_has_a_job_that_has_them() -> None:
    basic = guarded(basicAuth={"username": "me", "password": "secret"})
    assert scrape_job(basic, {"zone": "z"}) == {
        "job_name": "credentials of web",
        "static_configs": [target("MetricTargets", basic, {"zone": "z"})],
        "basic_auth": {"username": "me", "password": "secret"},
        "tls_config": {"insecure_skip_verify": True},
    }
    tls = {"serverName": "web.example"}
    private = scrape_job(guarded(bearerToken="secret", scheme="https", tls=tls), {})
    assert private is not None
    assert private["authorization"] == {"credentials": "secret"}
    assert private["tls_config"] == {"insecure_skip_verify": True, "server_name": "web.example"}
    assert scrape_job(guarded(), {}) is None
    assert scrape_job(object_of(workload()), {}) is None


def test_such_jobs_are_added_to_a_configuration() -> None:
    content = "global: {scrape_interval: 1s}  # often\nscrape_configs: [{job_name: own}]\n"
    file = {"path": "/p.yml", "content": content, "from": "MetricJobs"}
    reader = object_of(workload("prometheus", files=[file]))
    assert rendered(reader, guarded()) == content
    one, two = guarded("a", bearerToken="secret-1"), guarded("b", bearerToken="secret-2")
    text = rendered(reader, two, one)
    assert rendered(reader, one, two) == text
    config = yaml.safe_load(text)
    assert config["global"] == {"scrape_interval": "1s"}
    assert [entry["job_name"] for entry in config["scrape_configs"]] == [
        "own",
        "credentials of a",
        "credentials of b",
    ]
    empty = object_of(workload("prometheus", files=[{**file, "content": "global: {}\n"}]))
    assert len(yaml.safe_load(rendered(empty, one))["scrape_configs"]) == 1
    assert rendered(reader, object_of(one.manifest, deleting=True)) == content  # type: ignore[arg-type]


def test_of_one_that_is_gone_a_job_without_targets_stays() -> None:
    file = {"path": "/p.yml", "content": "global: {}", "from": "MetricJobs"}
    reader = object_of(workload("prometheus", files=[file]))
    filled = with_targets(reader, None, lambda: [guarded("b", bearerToken="secret")], ["a", "b"]).manifest
    assert isinstance(filled, Workload)
    gone, there = yaml.safe_load(filled.spec.files[0].content or "")["scrape_configs"]
    assert gone == {"job_name": "credentials of a"}
    assert there["authorization"] == {"credentials": "secret"}
