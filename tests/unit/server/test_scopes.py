"""What a token may call, and what its callers see."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from e2e_api.errors import Conflict, E2EError, NotFound, PermissionDenied
from e2e_api.v1 import container_service_pb2 as containers
from e2e_api.v1 import environment_service_pb2 as environments
from e2e_api.v1 import event_service_pb2 as events
from e2e_api.v1 import evidence_service_pb2 as evidence
from e2e_api.v1 import manifest_service_pb2 as manifests
from e2e_api.v1 import metric_service_pb2 as metrics
from e2e_api.v1 import wait_service_pb2 as waits
from e2e_controller.server import scopes

from .conftest import Client, Harness, checked, document, eventually, key
from .transport import ADMIN, LOOKER, READER, TEAM, each_method, guarded, table

Call = Callable[[Client, str], Coroutine[Any, Any, Any]]


async def _drain(call: Any) -> list[Any]:
    async def drained() -> list[Any]:
        return [answer async for answer in call]

    return list(await checked(drained()))


def selection(environment: str) -> metrics.MetricSelection:
    return metrics.MetricSelection(key=key(environment=environment), names=["up"])


READS: dict[str, Call] = {
    "ManifestService/Get": lambda c, e: c.get(environment=e),
    "ManifestService/List": lambda c, e: checked(c.manifests.List(manifests.ListRequest(environment=e))),
    "ManifestService/Watch": lambda c, e: _first(c.manifests.Watch(manifests.WatchRequest(environment=e))),
    "WaitService/WaitConditions": lambda c, e: c.wait(key(environment=e), goal=waits.WAIT_GOAL_RUNNING),
    "MetricService/WaitMetrics": lambda c, e: checked(
        c.metrics.WaitMetrics(metrics.WaitMetricsRequest(selection=selection(e)), timeout=60)
    ),
    "MetricService/WatchMetrics": lambda c, e: _first(
        c.metrics.WatchMetrics(metrics.WatchMetricsRequest(selection=selection(e)), timeout=60)
    ),
    "MetricService/SumMetrics": lambda c, e: checked(
        c.metrics.SumMetrics(metrics.SumMetricsRequest(selection=selection(e)))
    ),
    "MetricService/GetBaseline": lambda c, e: checked(
        c.metrics.GetBaseline(metrics.GetBaselineRequest(selection=selection(e)))
    ),
    "MetricService/GetMetrics": lambda c, e: checked(
        c.metrics.GetMetrics(metrics.GetMetricsRequest(key=key(environment=e)))
    ),
    "MetricService/GetMetricsPage": lambda c, e: checked(
        c.metrics.GetMetricsPage(metrics.GetMetricsPageRequest(key=key(environment=e)))
    ),
    "ContainerService/Logs": lambda c, e: _drain(
        c.containers.Logs(containers.LogsRequest(key=key(environment=e)))
    ),
    "ContainerService/CopyOut": lambda c, e: _drain(
        c.containers.CopyOut(containers.CopyOutRequest(key=key(environment=e), path="/etc"))
    ),
    "ContainerService/Inspect": lambda c, e: checked(
        c.containers.Inspect(containers.InspectRequest(key=key(environment=e)))
    ),
    "EventService/WatchEvents": lambda c, e: _drain(
        c.events.WatchEvents(events.WatchEventsRequest(environment=e))
    ),
    "EvidenceService/CollectEvidence": lambda c, e: _drain(
        c.evidence.CollectEvidence(evidence.CollectEvidenceRequest(environment=e))
    ),
}
WRITES: dict[str, Call] = {
    "ManifestService/Apply": lambda c, e: checked(
        c.manifests.Apply(
            manifests.ApplyRequest(
                documents=f"{{apiVersion: e2e/v1, kind: Workload, metadata: {{name: new, environment: {e}}}, "
                "spec: {image: 'busybox:1.36'}}"
            )
        )
    ),
    "ManifestService/Delete": lambda c, e: c.delete(key(environment=e)),
    "ManifestService/RunJob": lambda c, e: checked(
        c.manifests.RunJob(manifests.RunJobRequest(key=key("job", e, "Job")))
    ),
    "EnvironmentService/Hold": lambda c, e: _first(
        c.environments.Hold(environments.HoldRequest(environment=e, keep=True))
    ),
    "EnvironmentService/DeleteEnvironment": lambda c, e: checked(
        c.environments.DeleteEnvironment(environments.DeleteEnvironmentRequest(environment=e))
    ),
    "ContainerService/Exec": lambda c, e: _drain(
        c.containers.Exec(
            iter(
                [containers.ExecRequest(start=containers.ExecStart(key=key(environment=e), command=["true"]))]
            )
        )
    ),
    "ContainerService/CopyIn": lambda c, e: checked(
        c.containers.CopyIn(
            iter(
                [
                    containers.CopyInRequest(
                        start=containers.CopyInStart(key=key(environment=e), directory="/")
                    )
                ]
            )
        )
    ),
}
OF_ALL: dict[str, Call] = {
    "EvidenceService/GetControllerMetrics": lambda c, _: checked(
        c.evidence.GetControllerMetrics(evidence.GetControllerMetricsRequest())
    ),
}
FILTERED = {"EnvironmentService/ListEnvironments"}


async def _first(call: Any) -> Any:
    async def read() -> Any:
        try:
            return await call.read()
        finally:
            call.cancel()

    return await checked(read())


async def outcome(call: Call, client: Client, environment: str) -> str:
    """`denied` with the reason, or that it went beyond the guard, whatever came of it there."""
    try:
        await call(client, environment)
    except PermissionDenied as error:
        return f"denied: {error.reason}"
    except E2EError:
        pass
    return "passed"


def test_every_rpc_has_a_rule_and_is_tried_here() -> None:
    methods = set(each_method())
    assert methods - scopes._RULES.keys() == set()
    tried = {f"/e2e.v1.{name}" for name in {*READS, *WRITES, *OF_ALL, *FILTERED}}
    assert tried == methods
    assert all(scopes._RULES[f"/e2e.v1.{name}"].writes for name in WRITES)
    assert scopes.rule_of("/e2e.v1.NewService/Forgotten") == scopes.Rule(None, writes=True)


@pytest.mark.parametrize("name", [*READS, *WRITES, *OF_ALL])
async def test_a_token_reaches_as_far_as_it_says(harness: Harness, name: str) -> None:
    call = (READS | WRITES | OF_ALL)[name]
    reading = name not in WRITES
    limited = "denied: OutOfScope"
    async with guarded(harness, tokens=table(harness)) as served:
        expected = {
            (ADMIN, "test"): "passed",
            (ADMIN, "other"): "passed",
            (READER, "other"): "passed" if reading else "denied: ReadOnly",
            (TEAM, "team-1"): "passed" if name not in OF_ALL else limited,
            (TEAM, "other"): limited,  # which does not exist
            (LOOKER, "test"): "denied: ReadOnly" if not reading else limited if name in OF_ALL else "passed",
            (LOOKER, "other"): limited if reading else "denied: ReadOnly",
        }
        found = {}
        for token, environment in expected:
            async with served.client(token) as client:
                found[token, environment] = await outcome(call, client, environment)
    assert found == expected


async def test_denials_are_the_same_for_what_exists(harness: Harness) -> None:
    async with guarded(harness, tokens=table(harness)) as served, served.client(TEAM) as client:
        texts = []
        for _ in range(2):
            with pytest.raises(PermissionDenied) as denied:
                await client.get(environment="other")
            texts.append(str(denied.value))
            (harness.folder / "other").mkdir(exist_ok=True)
            (harness.folder / "other" / "web.yaml").write_text(
                "{apiVersion: e2e/v1, kind: Workload, metadata: {name: web}, spec: {image: 'busybox:1.36'}}"
            )
            await served.local.manifests.List(manifests.ListRequest())
    assert texts == ["token team does not reach environment 'other': it is for test* and team-*"] * 2


async def test_lists_and_watches_show_only_ones_own(harness: Harness) -> None:
    async with guarded(harness, tokens=table(harness)) as served, served.client(LOOKER) as client:
        await served.local.apply(document(), {**document(), "metadata": {"name": "web", "environment": "b"}})
        watch = client.manifests.Watch(manifests.WatchRequest(), timeout=30)
        followed = client.events.WatchEvents(events.WatchEventsRequest(follow=True), timeout=30)
        seen: list[Any] = []

        async def follow(call: Any) -> None:
            try:
                async for answer in call:
                    seen.append(answer)
            except asyncio.CancelledError:
                pass

        following = [asyncio.create_task(follow(call)) for call in (watch, followed)]
        for environment in ("b", "test"):
            await served.local.wait(key(environment=environment), goal=waits.WAIT_GOAL_RUNNING)
        listed = await checked(client.manifests.List(manifests.ListRequest()))
        all_of_them = await checked(served.local.manifests.List(manifests.ListRequest()))
        found = await checked(client.environments.ListEnvironments(environments.ListEnvironmentsRequest()))
        await eventually(lambda: any(answer.DESCRIPTOR.name == "WatchEventsResponse" for answer in seen))
        for task in following:
            task.cancel()
        await asyncio.gather(*following)
    shown = {
        answer.object.key.environment
        if answer.DESCRIPTOR.name == "WatchResponse"
        else answer.event.key.environment
        for answer in seen
    }
    assert shown - {""} == {"test"}  # the empty one is that of `synced`
    assert {one.key.environment for one in listed.objects} == {"test"}
    assert {one.key.environment for one in all_of_them.objects} == {"test", "b"}
    assert [one.environment for one in found.environments] == ["test"]


async def test_no_document_of_apply_slips_through(harness: Harness) -> None:
    async with guarded(harness, tokens=table(harness)) as served, served.client(TEAM) as client:
        outside = {**document("x"), "metadata": {"name": "x", "environment": "other"}}
        for documents in (
            [document(), outside],
            [{**document("other", "Environment")}],
            # A circle; what else is in the environment is not looked at to find it.
            [
                {**document(dependsOn=[{"name": b}]), "metadata": {"name": a, "environment": "other"}}
                for a, b in ("xy", "yx")
            ],
        ):
            for dry_run in (False, True):
                with pytest.raises(PermissionDenied, match="'other'"):
                    await client.apply(*documents, dry_run=dry_run)
        with pytest.raises(PermissionDenied, match="'default'"):
            await checked(
                client.manifests.Apply(manifests.ApplyRequest(documents=str(document())), timeout=10)
            )
        with pytest.raises(NotFound):
            await client.get()  # nothing was applied
        await client.apply(document())


async def test_a_dry_run_is_for_those_who_only_read(harness: Harness) -> None:
    async with guarded(harness, tokens=table(harness)) as served, served.client(LOOKER) as client:
        answer = await client.apply(document(), dry_run=True)
        assert answer.objects[0].plan
        with pytest.raises(PermissionDenied, match="token looker may only read"):
            await client.apply(document())


async def test_a_bundle_has_no_metrics_of_all_environments_for_a_token_of_some(harness: Harness) -> None:
    async with guarded(harness, tokens=table(harness)) as served:
        await served.local.apply(document())
        pages = {}
        for token in (TEAM, ADMIN):
            async with served.client(token) as client:
                request = evidence.CollectEvidenceRequest(environment="test")
                pieces = await _drain(client.evidence.CollectEvidence(request))
                pages[token] = b"".join(p.data for p in pieces if p.path == "controller/metrics.txt")
    assert pages[TEAM] == b"# They are of all environments, and the caller's token is not.\n"
    assert b"e2e_" in pages[ADMIN]


async def test_an_environments_key_with_two_names_is_judged_by_both(harness: Harness) -> None:
    async with guarded(harness, tokens=table(harness)) as served, served.client(TEAM) as client:
        await served.local.apply({**document(), "metadata": {"name": "web", "environment": "other"}})
        for names in (("other", "test"), ("test", "other")):
            with pytest.raises(PermissionDenied, match="'other'"):
                await client.delete(key(names[0], names[1], "Environment"))


async def test_what_a_file_defines_stays_so_for_a_token(harness: Harness) -> None:
    (harness.folder / "test").mkdir()
    (harness.folder / "test" / "web.yaml").write_text(
        "{apiVersion: e2e/v1, kind: Workload, metadata: {name: web}, spec: {image: 'busybox:1.36'}}"
    )
    async with guarded(harness, tokens=table(harness)) as served, served.client(TEAM) as client:
        with pytest.raises(Conflict):
            await client.apply(document(command=["x"]))


async def test_each_message_of_a_stream_is_judged(harness: Harness) -> None:
    """Also where the call waits for something else, or would take the refusal for a failure of its own."""
    keys = [key(), key(environment="other")]
    exec_ = [containers.ExecStart(key=k, command=["sleep", "60"], stdin=True) for k in keys]
    copy = [containers.CopyInStart(key=k, directory="/") for k in keys]
    async with guarded(harness, tokens=table(harness)) as served, served.client(TEAM) as client:
        await client.apply(document())
        await client.wait(goal=waits.WAIT_GOAL_RUNNING)
        for call in (
            _drain(client.containers.Exec(iter([containers.ExecRequest(start=s) for s in exec_]))),
            checked(client.containers.CopyIn(iter([containers.CopyInRequest(start=s) for s in copy]))),
        ):
            with pytest.raises(PermissionDenied, match="'other'"):
                async with asyncio.timeout(30):
                    await call
