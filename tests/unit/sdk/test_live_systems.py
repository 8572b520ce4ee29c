"""Systems that are changed while they run, at a fake controller and a fake program."""

import json
from typing import Any

import pytest

import e2e
import e2edb
from e2e_api.v1 import manifest_service_pb2, wait_service_pb2

from .fake_controller import FakeController
from .web_program import runs_at, serving

CONFIG = "/etc/prometheus/prometheus.yml"


class Reloads:
    """A Prometheus' answers; `refuses` has what it says against the next configurations."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.refuses: list[str] = []

    def __call__(self, path: str, _: dict[str, str]) -> tuple[int, bytes]:
        self.asked.append(path)
        return (500, self.refuses.pop(0).encode()) if self.refuses else (200, b"")


def applied(controller: FakeController, path: str) -> list[Any]:
    """The file's content in each manifest that was applied."""
    specs = [
        json.loads(request.documents)["spec"]
        for request in controller.asked(manifest_service_pb2.ApplyRequest)
    ]
    return [file["content"] for spec in specs for file in spec["files"] if file["path"] == path]


def test_a_configuration_is_written_and_then_loaded(controller: FakeController) -> None:
    reloads = Reloads()
    with e2e.Environment("env") as env, serving(reloads) as address:
        prometheus = e2edb.prometheus(env, "p")
        runs_at(controller, "p", address)
        prometheus.set_config({"scrape_configs": []})
        assert applied(controller, CONFIG) == ["scrape_configs: []\n"]
        assert reloads.asked == ["/-/reload"]
        (wait,) = controller.asked(wait_service_pb2.WaitConditionsRequest)
        assert wait.goal == wait_service_pb2.WAIT_GOAL_RECONCILED

        runs_at(controller, "p", address)
        prometheus.set_config(rules={"groups": [{"name": "g", "rules": []}]})
        assert (
            applied(controller, CONFIG)[1] == "scrape_configs: []\nrule_files:\n- /etc/prometheus/rules.yml\n"
        )
        assert "name: g" in applied(controller, "/etc/prometheus/rules.yml")[1]


def test_what_is_refused_is_taken_back(controller: FakeController) -> None:
    reloads = Reloads()
    with e2e.Environment("env") as env, serving(reloads) as address:
        prometheus = e2edb.prometheus(env, "p", config="scrape_configs: []")
        runs_at(controller, "p", address)
        reloads.refuses = ["failed to reload config: line 1: no such field\n"]
        with pytest.raises(e2e.InvalidArgument, match=r"p refuses .* line 1: no such field$") as refused:
            prometheus.set_config("no_such_field: 1")
        assert refused.value.reason == "Refused"
        assert applied(controller, CONFIG) == ["no_such_field: 1", "scrape_configs: []"]
        assert [file.content for file in prometheus.manifest.spec.files if file.path == CONFIG] == [
            "scrape_configs: []"
        ]


def test_only_what_runs_can_be_reloaded(controller: FakeController) -> None:
    with e2e.Environment("env") as env:
        prometheus = e2edb.prometheus(env, "p")
        with pytest.raises(e2e.NotRunning):
            prometheus.set_config({})
        runs_at(controller, "p", "127.0.0.1:1")
        with pytest.raises(e2e.Unavailable, match="does not answer"):
            prometheus.set_config({})


async def test_the_same_for_asyncio(controller: FakeController) -> None:
    reloads = Reloads()
    with serving(reloads) as address:
        async with e2e.AsyncEnvironment("env") as env:
            prometheus = e2edb.prometheus(env, "p")
            runs_at(controller, "p", address)
            await prometheus.set_config({"scrape_configs": []})
            static = e2edb.static_metrics(env, "s", "a 1")
            runs_at(controller, "s", address)
            await static.set_metrics("a 2")
    assert reloads.asked == ["/-/reload"]
    assert applied(controller, "/www/metrics/index.txt") == ["a 2\n"]


def test_a_page_of_metrics_is_rewritten(controller: FakeController) -> None:
    with e2e.Environment("env") as env:
        static = e2edb.static_metrics(env, "s", "a 1")
        with pytest.raises(e2e.NotRunning):
            static.set_metrics("a 2")
        runs_at(controller, "s", "127.0.0.1:1")
        static.set_metrics("a 2")
        assert applied(controller, "/www/metrics/index.txt") == ["a 2\n"]
