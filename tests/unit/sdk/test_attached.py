"""Environments and workloads that somebody else defined."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e import Conflict, Environment, InvalidArgument, NotFound
from e2e_api.v1 import environment_service_pb2 as environments
from e2e_api.v1 import manifest_service_pb2 as manifests

from .fake_controller import FakeController, ready_object


def test_an_attached_environment_is_neither_claimed_nor_deleted(
    controller: FakeController, tmp_path: Path
) -> None:
    def listed(_: Any) -> Iterator[Any]:
        summary = environments.EnvironmentSummary(
            environment="env", objects=1, shared_directory=str(tmp_path)
        )
        yield environments.ListEnvironmentsResponse(environments=[summary])

    controller.answers["ListEnvironments"] = listed
    found = ready_object("env", "web")
    found.document = (
        '{"apiVersion": "e2e/v1", "kind": "Workload", "metadata": {"name": "web"}, '
        '"spec": {"image": "x", "ports": {"http": {"containerPort": 80}}, "command": ["a"]}}'
    )
    controller.objects["env", "Workload", "web"] = found
    with Environment.attach("env") as env:
        assert env.shared_dir == tmp_path
        web = env.get("web")
        assert web.internal_endpoint("http") == "web:80"
        env.wait_ready(web, "web")
        with pytest.raises(Conflict, match=r"web is defined in /state/web\.json:1; change it there"):
            web.stop()
        with pytest.raises(NotFound):
            env.get("db")
        summary = env.summary()
        assert summary is not None
        assert summary.objects == 1
    assert not controller.asked(environments.HoldRequest)
    assert not controller.asked(environments.DeleteEnvironmentRequest)


def test_get_waits_for_a_manifest_to_appear(controller: FakeController) -> None:
    found = ready_object("env", "web")
    found.document = (
        '{"apiVersion": "e2e/v1", "kind": "Workload", "metadata": {"name": "web"}, "spec": {"image": "x"}}'
    )

    def appears(_: Any) -> Iterator[Any]:
        yield manifests.WatchResponse(synced=True)
        yield manifests.WatchResponse(object=ready_object("env", "other"))
        yield manifests.WatchResponse(object=found)

    def never(_: Any) -> Iterator[Any]:
        yield manifests.WatchResponse(synced=True)
        time.sleep(0.5)

    with Environment.attach("env") as env:
        controller.answers["Watch"] = appears
        assert env.get("web", wait=60).name == "web"
        controller.answers["Watch"] = never
        with pytest.raises(NotFound, match=r"no manifest defined Workload web in env within 0.1 s"):
            env.get("web", wait=0.1)
        found.document = ""
        controller.answers["Watch"] = appears
        with pytest.raises(InvalidArgument, match="web: "):
            env.get("web", wait=60)


def test_what_was_applied_as_text_can_be_changed_unless_it_has_secrets(controller: FakeController) -> None:
    document = "apiVersion: e2e/v1\nkind: Workload\nmetadata: {name: %s}\nspec: {image: x, env: {A: %s}}\n"
    with Environment("env") as env:
        env.apply(document % ("open", "'1'") + "---\n" + document % ("secret", "'********'"))
        env.get("open").stop()
        with pytest.raises(Conflict):
            env.get("secret").stop()
        assert sorted(env.statuses()) == ["open", "secret"]
