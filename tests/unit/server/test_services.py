"""The services as a client sees them: errors, streams, leases, health, reflection."""

import asyncio
import json
import re
import socket
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from e2e_api.errors import Conflict, InvalidArgument, NotFound, NotWritable, WaitFailed, WaitTimeout
from e2e_api.v1 import (
    container_service_pb2,
    environment_service_pb2,
    event_service_pb2,
    evidence_service_pb2,
    manifest_service_pb2,
    metric_service_pb2,
    wait_service_pb2,
)
from e2e_controller.drivers.base import Key
from e2e_controller.manager import Manager
from e2e_controller.settings import Settings
from e2e_controller.starting import StartError

from .conftest import Client, Goal, Harness, checked, document, eventually, key


async def test_a_wait_on_nothing_fails_at_once(client: Client) -> None:
    with pytest.raises(NotFound, match="test/Workload/ghost does not exist"):
        await client.wait(key("ghost"))


async def test_a_wait_that_runs_out_says_what_it_saw(client: Client, harness: Harness) -> None:
    await client.apply(document(readiness={"log": {"pattern": "ready now"}}))
    web = Key("test", "Workload", "web")
    await eventually(lambda: "ready now" in harness.manager._store.get(web).status.progress)
    with pytest.raises(WaitTimeout, match="ready now") as failed:
        await client.wait(timeout=2)
    assert failed.value.details[0].failed[0].key == key()  # type: ignore[attr-defined]


async def test_deleting_ends_a_wait(client: Client, harness: Harness) -> None:
    await client.apply(document(readiness={"log": {"pattern": "never"}}))
    before = set(harness.manager._store._subscriptions)
    waiting = asyncio.create_task(client.wait())
    await eventually(lambda: harness.manager._store._subscriptions > before)
    await client.delete(key())
    with pytest.raises(WaitFailed, match="deleted"):
        await waiting


async def test_what_the_manifest_does_not_ask_for_never_comes(client: Client) -> None:
    await client.apply(document(state="Stopped"))
    with pytest.raises(WaitFailed, match="state Stopped"):
        await client.wait()
    await client.wait(goal=Goal.WAIT_GOAL_RECONCILED)


async def test_a_copy_to_a_read_only_volume_says_so(client: Client) -> None:
    await client.apply(document(volumes=[{"source": "data", "target": "/data", "readOnly": True}]))
    await client.wait()
    start = container_service_pb2.CopyInStart(key=key(), directory="/data")
    call = client.containers.CopyIn(iter([container_service_pb2.CopyInRequest(start=start)]))
    with pytest.raises(NotWritable, match="marked read-only"):
        await checked(call)
    assert await call.code() is grpc.StatusCode.FAILED_PRECONDITION


async def test_copies_that_cannot_be_are_the_callers_mistakes(client: Client) -> None:
    await client.apply(document())
    await client.wait()

    async def copy_in(directory: str) -> None:
        start = container_service_pb2.CopyInStart(key=key(), directory=directory)
        requests = (
            container_service_pb2.CopyInRequest(start=start),
            container_service_pb2.CopyInRequest(tar=b"?"),
        )
        await checked(client.containers.CopyIn(iter(requests)))

    with pytest.raises(NotFound, match="/no/such"):
        await checked(
            client.containers.CopyOut(container_service_pb2.CopyOutRequest(key=key(), path="/no/such")).read()
        )
    with pytest.raises(NotFound, match="/no/such"):
        await copy_in("/no/such")
    with pytest.raises(InvalidArgument, match="copy to /tmp"):
        await copy_in("/tmp")


async def test_logs_since_a_moment(client: Client, harness: Harness) -> None:
    """In the middle of the ocean: a moment without a zone would be taken for one of the local zone."""
    await client.apply(document())
    await client.wait()
    harness.driver.log(Key("test", "Workload", "web"), b"written\n")
    now = datetime.now(UTC)

    async def logs(since: Timestamp) -> list[bytes]:
        request = container_service_pb2.LogsRequest(key=key(), since=since)
        return [response.data async for response in client.containers.Logs(request, timeout=60)]

    for age, expected in ((timedelta(minutes=1), [b"written\n"]), (timedelta(minutes=-1), [])):
        since = Timestamp()
        since.FromDatetime(now - age)
        assert await logs(since) == expected
    with pytest.raises(grpc.RpcError, match="expected a time of the years 1 to 9999"):
        await logs(Timestamp(seconds=10**15))


@pytest.mark.parametrize("path", ["/a\0b", "/" + 5000 * "a"])
async def test_paths_that_can_be_none_are_the_callers_mistake(client: Client, path: str) -> None:
    out = container_service_pb2.CopyOutRequest(key=key(), path=path)
    start = container_service_pb2.CopyInStart(key=key(), directory=path)
    copied_in = client.containers.CopyIn(iter([container_service_pb2.CopyInRequest(start=start)]))
    for call in (client.containers.CopyOut(out).read(), copied_in):
        with pytest.raises(InvalidArgument, match="expected a path in the container"):
            await checked(call)


async def test_invalid_keys_are_named(client: Client) -> None:
    with pytest.raises(InvalidArgument, match=r"key\.name"):
        await client.get("Bad_Name")


async def test_watch_sends_a_snapshot_then_changes(client: Client) -> None:
    await client.apply(document("a"))
    call = client.manifests.Watch(manifest_service_pb2.WatchRequest(kind="Workload"), timeout=60)
    first = await call.read()
    assert first.object.key.name == "a"
    assert (await call.read()).synced
    await client.wait(key("a"))
    await client.delete(key("a"))
    while (change := await call.read()).WhichOneof("change") != "gone":
        pass
    assert change.gone.name == "a"
    call.cancel()


async def test_any_text_can_be_applied(client: Client) -> None:
    content = "".join(map(chr, (*range(1, 0x300), 0x2028, 0x2029, 0xFEFF, 0xFFFD, 0xFFFE, 0xFFFF)))
    await client.apply(document(files=[{"path": "/a", "content": content}]))
    found = await client.get()
    assert json.loads(found.document)["spec"]["files"][0]["content"] == content


async def test_many_slow_watchers_get_the_last_state(client: Client) -> None:
    calls = [client.manifests.Watch(manifest_service_pb2.WatchRequest(), timeout=60) for _ in range(50)]
    for call in calls:
        assert (await call.read()).synced
    await client.apply(document())
    await client.wait()
    for call in calls:
        while (change := await call.read()).object.status.summary != "Running":
            assert change.WhichOneof("change") == "object"
        call.cancel()


async def test_events_tell_what_happened(client: Client) -> None:
    await client.apply(document())
    await client.wait()
    request = event_service_pb2.WatchEventsRequest(environment="test", kind="Workload")
    items = [item async for item in client.events.WatchEvents(request, timeout=60)]
    assert [item.event.reason for item in items[:-1]] == ["Create", "Start"]
    assert items[-1].synced


async def test_a_lease_that_ends_takes_the_environment_with_it(client: Client, harness: Harness) -> None:
    hold = client.environments.Hold(environment_service_pb2.HoldRequest(environment="test", fresh=True))
    granted = await hold.read()
    assert granted.shared_directory == str(harness.state / "environments" / "test")
    await client.apply(document())
    await client.wait()
    hold.cancel()
    await client.wait(goal=Goal.WAIT_GOAL_DELETED)
    await eventually(lambda: not harness.engine.networks)


async def test_the_last_of_several_holders_ends_it(client: Client, harness: Harness) -> None:
    request = environment_service_pb2.HoldRequest(environment="test")
    first, second = client.environments.Hold(request), client.environments.Hold(request)
    await first.read()
    await second.read()
    await client.apply(document())
    await client.wait()
    first.cancel()
    await asyncio.sleep(0.3)
    assert harness.engine.containers
    second.cancel()
    await client.wait(goal=Goal.WAIT_GOAL_DELETED)


async def test_fresh_removes_what_is_left_and_refuses_what_is_held(client: Client, harness: Harness) -> None:
    await client.apply(document("stale"))
    await client.wait(key("stale"))
    request = environment_service_pb2.HoldRequest(environment="test", fresh=True)
    hold = client.environments.Hold(request)
    await hold.read()
    assert not harness.engine.containers
    with pytest.raises(Conflict, match="held by another client"):
        await checked(client.environments.Hold(request).read())
    hold.cancel()


async def test_keep_leaves_the_environment(client: Client, harness: Harness) -> None:
    hold = client.environments.Hold(environment_service_pb2.HoldRequest(environment="test", keep=True))
    await hold.read()
    await client.apply(document())
    await client.wait()
    hold.cancel()
    await asyncio.sleep(0.3)
    assert harness.engine.containers


async def test_keep_on_failure(client: Client, harness: Harness) -> None:
    await client.apply(document("test", "Environment", keepOnFailure=True, ttl="1h"))
    hold = client.environments.Hold(environment_service_pb2.HoldRequest(environment="test"))
    await hold.read()
    await client.apply(document(image="nothing:1"), document("good"))
    await client.wait(key("good"))
    with pytest.raises(WaitFailed):
        await client.wait()
    hold.cancel()
    kept = await eventually_kept(client)
    assert kept.end_cause == "keepOnFailure, and it has failed: web"
    assert kept.HasField("ends")
    assert harness.engine.containers
    await client.apply(document("test", "Environment", keepOnFailure=True, ttl="1ms"))
    await client.wait(key("good"), goal=Goal.WAIT_GOAL_DELETED)


async def eventually_kept(client: Client) -> environment_service_pb2.EnvironmentSummary:
    """The environment once it is known until when it is kept."""
    request = environment_service_pb2.ListEnvironmentsRequest()
    async with asyncio.timeout(30):
        while True:
            answer = await checked(client.environments.ListEnvironments(request, timeout=60))
            for found in answer.environments:
                if found.end_cause:
                    return found  # type: ignore[no-any-return]
            await asyncio.sleep(0.01)


async def test_without_a_failure_keep_on_failure_keeps_nothing(client: Client, harness: Harness) -> None:
    await client.apply(document("test", "Environment", keepOnFailure=True, ttl="1h"))
    hold = client.environments.Hold(environment_service_pb2.HoldRequest(environment="test"))
    await hold.read()
    await client.apply(document())
    await client.wait()
    hold.cancel()
    await client.wait(goal=Goal.WAIT_GOAL_DELETED)


async def test_a_restart_does_not_forget_what_is_kept_nor_until_when(harness: Harness) -> None:
    async with harness.running() as client:
        await client.apply(document("test", "Environment", keepOnFailure=True, ttl="1h"))
        hold = client.environments.Hold(environment_service_pb2.HoldRequest(environment="test"))
        await hold.read()
        await client.apply(document(image="nothing:1"), document("good"))
        await client.wait(key("good"))
        with pytest.raises(WaitFailed):
            await client.wait()
        hold.cancel()
        first = await eventually_kept(client)
    async with harness.running() as client:
        second = await eventually_kept(client)
        assert (second.ends, second.end_cause) == (first.ends, first.end_cause)
        await client.wait(key("good"))
        # Whoever claims it has it again.
        again = client.environments.Hold(environment_service_pb2.HoldRequest(environment="test"))
        await again.read()
        request = environment_service_pb2.ListEnvironmentsRequest()
        (found,) = (await checked(client.environments.ListEnvironments(request, timeout=60))).environments
        assert (found.leases, found.end_cause) == (1, "")
        again.cancel()


async def test_a_deleted_environment_leaves_its_end_to_no_other(client: Client, harness: Harness) -> None:
    await client.apply(document("test", "Environment", ttl="1h"), document())
    await client.wait()
    assert (await eventually_kept(client)).end_cause == "nobody holds it, and it has a ttl"
    await client.delete(key("test", kind="Environment"))
    await client.wait(goal=Goal.WAIT_GOAL_DELETED)
    await client.apply(document())
    await client.wait()
    assert harness.manager._leases.planned_end("test") is None
    assert harness.manager._leases.idle
    assert not list((harness.state / "leases").glob("*"))


async def test_a_lease_that_a_restart_ended_waits_to_see_a_failure(harness: Harness) -> None:
    async with harness.running() as client:
        await client.apply(document("test", "Environment", keepOnFailure=True, ttl="1h"), document())
        hold = client.environments.Hold(environment_service_pb2.HoldRequest(environment="test"))
        await hold.read()
        await client.wait()
        from e2e_controller.drivers.base import Key

        harness.driver.exit(Key("test", "Workload", "web"), 1)
        await client.wait(goal=Goal.WAIT_GOAL_EXITED)
        await harness.manager._leases.close()
        harness.manager._leases._ends.begin = lambda *_, **__: None  # type: ignore[method-assign]
    async with harness.running(lease_grace=0) as client:
        assert (await eventually_kept(client)).end_cause == "keepOnFailure, and it has failed: web"


async def test_a_ttl_runs_while_nobody_holds(client: Client) -> None:
    await client.apply(document("test", "Environment", ttl="100ms"), document())
    await client.wait(goal=Goal.WAIT_GOAL_DELETED)


async def test_a_lease_of_before_a_crash_is_not_forgotten(harness: Harness) -> None:
    async with harness.running() as client:
        hold = client.environments.Hold(environment_service_pb2.HoldRequest(environment="test"))
        await hold.read()
        await client.apply(document())
        await client.wait()
        await harness.manager._leases.close()
        harness.manager._leases._ends.begin = lambda *_, **__: None  # type: ignore[method-assign]
    async with harness.running() as client:
        await eventually(lambda: not harness.engine.containers)


async def test_metrics_need_a_workload_that_serves_some(client: Client) -> None:
    await client.apply(document())
    request = metric_service_pb2.SumMetricsRequest()
    request.selection.key.CopyFrom(key())
    request.selection.names.append("up")
    with pytest.raises(InvalidArgument, match="serves no metrics"):
        await checked(client.metrics.SumMetrics(request, timeout=60))


async def test_a_metric_wait_ends_when_the_workload_exits(
    client: Client, harness: Harness, silent_port: int
) -> None:
    ports = {"http": {"containerPort": 80, "hostPort": silent_port}}
    await client.apply(document(ports=ports, metrics={"port": "http"}))
    await client.wait()
    request = metric_service_pb2.WaitMetricsRequest()
    request.selection.key.CopyFrom(key())
    request.selection.names.append("up")
    request.expectation.type = metric_service_pb2.EXPECTATION_TYPE_EQUALS
    request.expectation.operands.append(1)
    waiting = asyncio.create_task(checked(client.metrics.WaitMetrics(request, timeout=60)))
    await asyncio.sleep(0.1)
    from e2e_controller.drivers.base import Key

    harness.driver.exit(Key("test", "Workload", "web"), 1)
    with pytest.raises(WaitFailed, match="exited with code 1"):
        await waiting


async def test_health_and_reflection(harness: Harness) -> None:
    async with harness.running(), grpc.aio.insecure_channel(harness.manager.addresses[0]) as channel:
        check = health_pb2_grpc.HealthStub(channel).Check
        for service in ("", "e2e.v1.ManifestService"):
            answer = await check(health_pb2.HealthCheckRequest(service=service))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        services = await asyncio.to_thread(_reflected_services, harness.manager.addresses[0])
    assert {"e2e.v1.WaitService", "e2e.v1.MetricService", "grpc.health.v1.Health"} <= set(services)


async def test_reflection_v1(harness: Harness) -> None:
    """Asked as clients of today ask first; its messages are those of v1alpha."""
    async with harness.running(), grpc.aio.insecure_channel(harness.manager.addresses[0]) as channel:
        call = channel.stream_stream(
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )
        requests = [
            reflection_pb2.ServerReflectionRequest(list_services="*"),
            reflection_pb2.ServerReflectionRequest(file_containing_symbol="e2e.v1.WaitService"),
        ]
        listed, file = [answer async for answer in call(iter(requests))]
    assert "e2e.v1.WaitService" in [found.name for found in listed.list_services_response.service]
    assert b"e2e/v1/wait_service.proto" in file.file_descriptor_response.file_descriptor_proto[0]


def _reflected_services(address: str) -> list[str]:
    with grpc.insecure_channel(address) as channel:
        return list(ProtoReflectionDescriptorDatabase(channel).get_services())


async def test_the_controllers_own_metrics_and_health(harness: Harness) -> None:
    import aiohttp

    async with harness.running(http="127.0.0.1:0") as client, aiohttp.ClientSession() as http:
        await client.apply(document(readiness={"exec": {"command": ["true"]}}))
        await client.wait()
        base = f"http://{harness.manager.http_address}"
        page = await (await http.get(f"{base}/metrics")).text()
        assert 'e2e_objects{condition="Ready",kind="Workload",status="True"} 1.0' in page
        assert 'e2e_reconciles_total{kind="Workload",result="success"}' in page
        assert re.search(r'e2e_probe_duration_seconds_count\{result="success",type="exec"\} [1-9]', page)
        assert "\ne2e_queue_depth " in page
        for path in ("/healthz", "/readyz"):
            async with http.get(base + path) as answer:
                assert answer.status == 200


async def test_http_on_an_ipv6_address(harness: Harness) -> None:
    import aiohttp

    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 here")
    async with (
        harness.running(http="[::1]:0"),
        aiohttp.ClientSession() as http,
        http.get(f"http://{harness.manager.http_address}/healthz") as answer,
    ):
        assert answer.status == 200


async def test_readiness_follows_the_engine_at_once(harness: Harness) -> None:
    import aiohttp

    async with harness.running(http="127.0.0.1:0"), aiohttp.ClientSession() as http:
        url = f"http://{harness.manager.http_address}/readyz"

        async def until(status: int) -> str:
            async with asyncio.timeout(40):  # a resync comes after a minute
                while (answer := await http.get(url)).status != status:
                    await answer.release()
            return await answer.text()

        await until(200)
        harness.driver.go_away()
        assert "the fake engine does not answer" in await until(503)
        harness.driver.come_back()
        await until(200)


async def test_a_second_controller_on_one_state_folder_is_refused(harness: Harness) -> None:
    async with harness.running():
        second = Manager(Settings(state_dir=harness.state), make_driver=lambda *_: harness.driver)
        with pytest.raises(StartError, match="is in use by process"):
            await second.run()


@pytest.mark.parametrize(("wanted", "looks"), [("orphaned", True), ("stopped", True), ("none", False)])
async def test_a_start_looks_for_garbage_unless_told_not_to(
    harness: Harness, wanted: str, looks: bool
) -> None:
    async with harness.running(collect_garbage=wanted) as client:
        await client.apply(document())
        await client.wait()
        if looks:
            await eventually(lambda: "list_things" in harness.driver.calls)
        assert ("list_things" in harness.driver.calls) is looks


async def test_only_the_user_may_open_the_socket(harness: Harness) -> None:
    async with harness.running():
        assert (harness.state / "controller.sock").stat().st_mode & 0o777 == 0o600


async def test_secrets_are_masked(client: Client) -> None:
    await client.apply(document(env={"DB_PASSWORD": "hunter2", "LEVEL": "debug"}))
    shown = (await client.get()).document
    assert "hunter2" not in shown
    assert "debug" in shown


async def test_an_unused_controller_ends_itself(harness: Harness) -> None:
    async with harness.running(idle_timeout=0.2):
        await asyncio.wait_for(harness.manager._stopping.wait(), 60)


async def test_the_work_of_a_client_that_left_stops(client: Client, harness: Harness) -> None:
    await client.apply(document(readiness={"log": {"pattern": "never"}}))
    before = set(harness.manager._store._subscriptions)
    request = wait_service_pb2.WaitConditionsRequest(keys=[key()], goal=Goal.WAIT_GOAL_READY)
    # Not by cancelling a task that reads: gRPC's client may miss that, and goes on with the call.
    call = client.waits.WaitConditions(request, timeout=60)
    await call.read()
    await eventually(lambda: harness.manager._store._subscriptions > before)
    call.cancel()
    await eventually(lambda: harness.manager._server.calls == 0)
    assert harness.manager._store._subscriptions == before


async def test_the_environments_address_range(client: Client) -> None:
    await client.apply(document())
    await client.wait()
    request = environment_service_pb2.ListEnvironmentsRequest()
    (found,) = (await checked(client.environments.ListEnvironments(request, timeout=60))).environments
    assert (found.network, found.subnet) == ("e2e-test", "198.51.100.0/24")


async def test_the_controllers_own_metrics(client: Client) -> None:
    await client.apply(document())
    await client.wait()
    request = evidence_service_pb2.GetControllerMetricsRequest()
    page = (await checked(client.evidence.GetControllerMetrics(request, timeout=60))).page
    assert 'e2e_objects{condition="Ready",kind="Workload",status="True"} 1.0\n' in page
