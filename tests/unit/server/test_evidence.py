"""What status keeps of containers that ended, were replaced or were removed."""

import re
from typing import Any

import pytest

from e2e_api.conditions import ConditionType
from e2e_api.errors import E2EError, WaitFailed, WaitTimeout
from e2e_api.v1 import container_service_pb2, container_service_pb2_grpc, event_service_pb2
from e2e_controller.drivers.base import Key, PortTaken
from e2e_controller.drivers.fake.processes import FakeProcess

from .conftest import Client, Goal, Harness, checked, document, eventually, key

WEB = Key("test", "Workload", "web")


async def events(client: Client) -> list[event_service_pb2.Event]:
    request = event_service_pb2.WatchEventsRequest(environment="test", kind="Workload")
    items = [item async for item in client.events.WatchEvents(request, timeout=60)]
    return [item.event for item in items if item.HasField("event")]


async def failure_of(client: Client) -> tuple[E2EError, Any]:
    with pytest.raises(WaitFailed) as failed:
        await client.wait()
    return failed.value, failed.value.details[0].failed[0].status  # type: ignore[attr-defined]


async def test_a_signal_is_named_and_explained(client: Client, harness: Harness) -> None:
    await client.apply(document(readiness={"log": {"pattern": "never"}}))
    await client.wait(goal=Goal.WAIT_GOAL_RUNNING)
    harness.driver.exit(WEB, 139, b"about to crash\n")
    error, status = await failure_of(client)
    assert (status.container.exit_code, status.container.signal) == (139, "SIGSEGV")
    assert status.container.HasField("finished_at")
    assert status.action == "see-evidence"
    assert "segmentation fault" in str(error)


async def test_the_last_probe_outlives_the_container(client: Client, harness: Harness) -> None:
    await client.apply(document(readiness={"log": {"pattern": "never"}}))
    await client.wait(goal=Goal.WAIT_GOAL_RUNNING)
    await eventually(lambda: (probe := harness.manager._store.get(WEB).status.probe) and probe.answer)
    harness.driver.exit(WEB, 1, b"one line\n")
    _, status = await failure_of(client)
    assert status.last_probe.request == "a log line that matches 'never'"
    assert status.last_probe.answer
    harness.driver.break_events()  # all is looked at once more
    await eventually(lambda: harness.manager._queue.idle)
    assert (await client.get()).status.last_probe.answer == status.last_probe.answer


async def test_what_was_not_ready_in_time_leaves_its_log(client: Client, harness: Harness) -> None:
    async def connect(process: FakeProcess) -> int:
        await process.write(b"connecting to db\n")
        await process.ended.wait()
        return 0

    harness.engine.programs["connect"] = connect
    never = {"log": {"pattern": "never"}, "startupTimeout": "300ms"}
    await client.apply(document(command=["connect"], readiness=never))
    error, status = await failure_of(client)
    assert error.reason == "ProbeTimeout"
    assert list(status.container.last_log_lines) == ["connecting to db"]
    assert "its start; a log line that matches 'never': no line" in str(error)


async def test_an_image_without_a_healthcheck_will_never_be_healthy(client: Client) -> None:
    await client.apply(document(readiness={"healthcheck": {}}))
    error, status = await failure_of(client)
    assert (error.reason, status.action) == ("NoHealthcheck", "fix-manifest")
    assert "has no HEALTHCHECK: take another probe" in str(error)


async def test_what_made_a_dependency_fail_is_evidence_too(client: Client, harness: Harness) -> None:
    await client.apply(
        document("db", readiness={"log": {"pattern": "never"}}),
        document("app", dependsOn=[{"name": "db"}]),
        document(dependsOn=[{"name": "app"}]),
    )
    await client.wait(key("db"), goal=Goal.WAIT_GOAL_RUNNING)
    harness.driver.exit(Key("test", "Workload", "db"), 3, b"disk is full\n")
    with pytest.raises(WaitFailed) as failed:
        await client.wait()
    assert failed.value.reason == "DependencyFailed"
    assert [found.key.name for found in failed.value.failed] == ["web", "app", "db"]
    assert list(failed.value.failed[2].status.container.last_log_lines) == ["disk is full"]


async def test_a_pull_under_way_names_the_image(client: Client, harness: Harness) -> None:
    harness.driver.pullable.add("later:1")
    harness.driver.hang("pull")
    await client.apply(document(image="later:1"))
    await eventually(lambda: "pull later:1" in harness.driver.calls)
    with pytest.raises(WaitTimeout) as late:
        await client.wait(timeout=1)
    harness.driver.release("pull")
    image = {found.type: found for found in late.value.failed[0].status.conditions}["ImageReady"]
    assert (image.reason, image.message) == ("Pulling", "pull later:1: it is not there")


async def test_the_log_outlives_a_replaced_container(client: Client, harness: Harness) -> None:
    await client.apply(document())
    await client.wait()
    harness.driver.log(WEB, b"first words\nlast words\n")
    first = harness.driver.container(WEB).view.id
    await client.apply(document(env={"A": "2"}))
    await client.wait()
    previous = (await client.get()).status.previous_container
    assert previous.id == first
    assert list(previous.last_log_lines) == ["first words", "last words"]


async def test_the_end_before_a_restart_is_kept(client: Client, harness: Harness) -> None:
    await client.apply(document(restartPolicy="Always"))
    await client.wait()
    harness.driver.exit(WEB, 3, b"no database\n")
    await eventually(lambda: harness.driver.container(WEB).lives)
    await client.wait()
    status = (await client.get()).status
    assert (status.container.state, status.container.restart_count) == ("running", 1)
    assert (status.previous_container.exit_code, status.previous_container.restart_count) == (3, 0)
    assert list(status.previous_container.last_log_lines) == ["no database"]


async def test_a_removal_behind_our_back_leaves_what_was_known(client: Client, harness: Harness) -> None:
    await client.apply(document())
    await client.wait()
    await harness.end(WEB, 1, b"the reason\n")
    await failure_of(client)
    harness.driver.remove_behind_the_back(WEB)
    await harness.until(WEB, ConditionType.FAILED, holds=False)
    await client.wait()
    previous = (await client.get()).status.previous_container
    assert previous.exit_code == 1
    assert list(previous.last_log_lines) == ["the reason"]


async def test_a_taken_port_is_the_machines(client: Client, harness: Harness) -> None:
    harness.engine.taken_ports.add(8080)
    await client.apply(document(ports={"http": {"containerPort": 80, "hostPort": 8080}}))
    error, status = await failure_of(client)
    assert error.reason == PortTaken.reason
    assert status.action == "fix-machine"


async def test_phases_tell_of_copying_and_of_the_queue(client: Client, harness: Harness) -> None:
    harness.driver.latency["copy"] = 0.25
    await client.apply(
        document(files=[{"path": "/a", "content": "b"}]),
    )
    await client.wait()
    phases = (await client.get()).status.phases
    names = [phase.name for phase in phases]
    assert names[-3:] == ["create", "copy", "start"]
    assert phases[-2].duration.ToMilliseconds() >= 250
    assert names[0] == "queue"
    assert [p.name for p in (await client.get("test", kind="Environment")).status.phases] == ["network"]


async def test_adoption_restarts_and_retries_are_counted(harness: Harness) -> None:
    async with harness.running() as client:
        await client.apply(document(restartPolicy="Always"), document("bad", image="nothing:1"))
        await client.wait()
        harness.driver.exit(WEB, 1)
        await eventually(lambda: harness.driver.container(WEB).lives)
    async with harness.running(http="127.0.0.1:0") as client:
        await client.wait()
        with pytest.raises(WaitFailed):
            await client.wait(key("bad"))
        assert "Adopt" in [event.reason for event in await events(client)]
        harness.driver.exit(WEB, 1)
        await eventually(lambda: harness.driver.container(WEB).lives)
        await client.wait(goal=Goal.WAIT_GOAL_READY)
        page = await metrics_page(harness)
        assert "e2e_adoptions_total 1.0" in page
        assert "e2e_restarts_total 1.0" in page
        assert re.search(r'e2e_retries_total\{kind="Workload",reason="ImagePullFailed"\} [1-9]', page)
        assert "e2e_queue_failing" in page


async def metrics_page(harness: Harness) -> str:
    import aiohttp

    async with aiohttp.ClientSession() as http:
        return await (await http.get(f"http://{harness.manager.http_address}/metrics")).text()


async def test_inspect_masks_secrets(client: Client, harness: Harness) -> None:
    await client.apply(document(env={"DB_PASSWORD": "hunter22", "LEVEL": "debug"}))
    await client.wait()
    import grpc

    async with grpc.aio.insecure_channel(harness.manager.addresses[0]) as channel:
        stub = container_service_pb2_grpc.ContainerServiceStub(channel)
        answer = await checked(stub.Inspect(container_service_pb2.InspectRequest(key=key()), timeout=60))
    assert "hunter22" not in answer.document
    assert "LEVEL=debug" in answer.document
