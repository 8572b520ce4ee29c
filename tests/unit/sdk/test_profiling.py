"""Profiling: what Parca is told, and what is told where it cannot be had."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

import e2e
from e2e import (
    AsyncEnvironment,
    Conflict,
    Environment,
    InvalidArgument,
    NotRunning,
    Unavailable,
    WaitFailed,
    WaitTimeout,
)
from e2e_api.v1 import manifest_service_pb2, wait_service_pb2

from .fake_controller import FakeController, ready_object


def test_a_parca_watches_the_file_of_targets(controller: FakeController) -> None:
    with Environment("env", timeout=60) as env:
        with e2e.profiling.start(env, scrape_interval=2) as profiling:
            found = profiling.parca.manifest.spec
            (config, targets) = found.files
            assert (targets.path, targets.from_) == ("/etc/parca/targets.json", "ProfileTargets")
            (job,) = yaml.safe_load(config.content or "")["scrape_configs"]
            assert job["scrape_interval"] == "2s"
            assert job["file_sd_configs"][0]["files"] == [targets.path]
            assert found.image == e2e.profiling.IMAGE
            assert ("env", "Workload", "profiling") in controller.objects
            with pytest.raises(Conflict, match="has a workload profiling already: give a `name`"):
                e2e.profiling.start(env)
            assert ("env", "Workload", "profiling") in controller.objects
        assert ("env", "Workload", "profiling") not in controller.objects
        profiling.close()
        assert len(controller.asked(manifest_service_pb2.DeleteRequest)) == 1
    profiling.close()


def test_a_close_that_failed_can_be_tried_again(controller: FakeController) -> None:
    def refuse(_: Any) -> Iterator[Any]:
        controller.answers.clear()
        raise Unavailable("not now")
        yield

    with Environment("env", timeout=60) as env:
        profiling = e2e.profiling.start(env)
        controller.answers["Delete"] = refuse
        with pytest.raises(Unavailable, match="not now"):
            profiling.close()
        assert ("env", "Workload", "profiling") in controller.objects
        profiling.close()
        assert ("env", "Workload", "profiling") not in controller.objects


def test_an_environment_of_others_is_left_as_it_was(controller: FakeController) -> None:
    with Environment.attach("env") as env:
        e2e.profiling.start(env)
        assert ("env", "Workload", "profiling") in controller.objects
    assert ("env", "Workload", "profiling") not in controller.objects


def test_a_failure_that_is_kept_keeps_what_it_has_gathered(controller: FakeController) -> None:
    env = Environment("env", keep_on_failure=True)
    with pytest.raises(ZeroDivisionError), env, e2e.profiling.start(env):
        _ = 1 / 0
    assert ("env", "Workload", "profiling") in controller.objects


def image_missing(reason: str, controller: FakeController) -> Any:
    def wait(_: Any) -> Iterator[Any]:
        controller.answers.clear()  # for the end
        message = f"{e2e.profiling.IMAGE}: connection refused"
        condition = {
            "type": "Failed",
            "status": "CONDITION_STATUS_TRUE",
            "reason": reason,
            "message": message,
        }
        found = ready_object("env", "profiling", conditions=[condition], container={})
        raise WaitFailed("it failed", reason=reason, details=[wait_service_pb2.WaitFailure(failed=[found])])
        yield

    return wait


def test_where_no_image_can_be_had_it_is_told_what_to_do(controller: FakeController) -> None:
    with Environment("env", timeout=60) as env:
        controller.answers["WaitConditions"] = image_missing("ImagePullFailed", controller)
        with pytest.raises(WaitFailed) as raised:
            e2e.profiling.start(env)
        lines = str(raised.value).splitlines()
        assert lines[0] == (
            f"profiling needs Parca, whose image {e2e.profiling.IMAGE} is not here and cannot be pulled"
        )
        assert f"docker pull {e2e.profiling.IMAGE}" in lines[1]
        assert "`e2e profile`" in lines[2]
        assert "connection refused" in str(raised.value)
        assert raised.value.reason == "ImagePullFailed"
        assert [found.key.name for found in raised.value.failed] == ["profiling"]
        assert controller.asked(manifest_service_pb2.DeleteRequest)
        controller.answers["WaitConditions"] = image_missing("Exited", controller)
        with pytest.raises(WaitFailed, match=r"profiling .* is not ready"):
            e2e.profiling.start(env)


@pytest.mark.parametrize("interval", [0, 1.5, -1, True])
def test_seconds_that_parca_does_not_know(interval: Any) -> None:
    with pytest.raises(InvalidArgument, match="scrape_interval: expected whole seconds"):
        e2e.profiling.start(Environment("env"), scrape_interval=interval)


def test_an_environment_that_is_not_started() -> None:
    with pytest.raises(NotRunning, match="environment env is not started"):
        e2e.profiling.start(Environment("env"))


async def test_the_same_with_asyncio(controller: FakeController) -> None:
    async with AsyncEnvironment("env", timeout=60) as env:
        async with await e2e.profiling.start(env, name="profiles") as profiling:
            assert await profiling.parca.is_running()
        assert ("env", "Workload", "profiles") not in controller.objects


def test_a_timeout_stays_one(controller: FakeController) -> None:
    def late(_: Any) -> Iterator[Any]:
        controller.answers.clear()
        raise WaitTimeout("late", reason="Timeout")
        yield

    with Environment("env", timeout=60) as env:
        controller.answers["WaitConditions"] = late
        with pytest.raises(WaitTimeout):
            e2e.profiling.start(env)
    assert controller.asked(manifest_service_pb2.DeleteRequest)
