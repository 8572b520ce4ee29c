"""The evidence of failed waits reaches every client: a plain channel takes 8 KiB of trailers."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from e2e_api.conditions import Condition, ConditionType, Status
from e2e_api.errors import EVIDENCE_BYTES, WaitFailed, WaitTimeout
from e2e_api.v1 import metric_service_pb2 as metrics
from e2e_controller.drivers.base import ContainerPhase, ImageFailed, Key
from e2e_controller.metrics import History, LabelMatcher, LabelMiss, MatchType, Sample, Sum
from e2e_controller.objects import ObjectStatus, Probe
from e2e_controller.server.evidence import Seen, metric_failure, wait_failure

from ..core.builders import NOW, container, object_of, workload
from .conftest import Client, Harness, MetricsPage, checked, document, eventually, key, wait_request

WEB = Key("test", "Workload", "web")


async def test_a_long_build_message_arrives_once(client: Client, harness: Harness) -> None:
    output = "".join(f"Step {number}: RUN make it work\n" for number in range(130))
    harness.driver.fail("build", ImageFailed(f"build failed: {output}", retry=False), times=100)
    await client.apply(document(build={"context": "/src"}))
    with pytest.raises(WaitFailed, match="build failed: Step 0") as failed:
        await client.wait()
    (found,) = failed.value.details[0].failed  # type: ignore[attr-defined]
    told = {c.type: c.message for c in found.status.conditions if "Step 0" in c.message}
    assert list(told) == ["Failed"]
    assert found.status.summary == "Failed"


@pytest.mark.parametrize("names", [1, 500])
async def test_the_evidence_of_a_metric_wait_arrives(
    client: Client, harness: Harness, page: MetricsPage, names: int
) -> None:
    asked = [f"a_metric_of_a_program_with_a_long_name_{number}" for number in range(names)]
    page.text = "".join(f"{name} 1\n" for name in asked)
    await page.workload(client)
    for number in range(200):
        harness.driver.log(WEB, f"{number} ".encode() + b"y" * 500 + b"\n")
    request = wait_request(*asked, equals=2)
    waiting = asyncio.create_task(checked(client.metrics.WaitMetrics(request, timeout=60)))
    await eventually(lambda: page.scrapes >= 2)
    harness.driver.exit(WEB, 3)
    with pytest.raises(WaitFailed, match="exited with code 3") as failed:
        await waiting
    (failure,) = failed.value.details
    assert isinstance(failure, metrics.MetricFailure)
    assert failure.history[0].sums[0] == metrics.MetricSum(name=asked[0], value=1, series=1)
    assert failure.object.status.container.exit_code == 3
    assert failure.object.status.container.last_log_lines[-1].startswith("199 y")


async def test_the_evidence_of_a_timeout_arrives(client: Client, harness: Harness) -> None:
    await client.apply(*(document(f"w{n}", readiness={"log": {"pattern": "x" * 4000}}) for n in range(3)))
    with pytest.raises(WaitTimeout) as failed:
        await client.wait(*(key(f"w{number}") for number in range(3)), timeout=2)
    assert [found.key.name for found in failed.value.details[0].failed] == ["w0", "w1", "w2"]  # type: ignore[attr-defined]


def test_a_failed_look_in_the_end_leaves_what_was_seen_before() -> None:
    history = History()
    history.add(Sample(NOW, tuple(Sum(f"a_metric_with_a_long_name_{i}", 1.0, 1) for i in range(500))))
    history.add(Sample(NOW, error="it ended meanwhile"))
    seen, last = metric_failure("", history, Seen(), None).history
    assert (seen.sums[0].name, seen.sums[0].value) == ("a_metric_with_a_long_name_0", 1)
    assert last.error == "it ended meanwhile"


texts = st.text(max_size=5000) | st.integers(0, 5000).map(lambda size: "ä" * size)


@settings(deadline=None, max_examples=50)
@given(texts, texts, st.lists(texts, max_size=100), st.integers(1, 4))
def test_it_always_fits(message: str, name: str, lines: list[str], objects: int) -> None:
    conditions = tuple(Condition(type_, Status.FALSE, "Reason", message + type_) for type_ in ConditionType)
    status = ObjectStatus(
        conditions=conditions,
        progress=message,
        container=replace(container(ContainerPhase.EXITED), image=name),
        last_log_lines=tuple(lines),
        endpoints={"http": name},
        probe=Probe(False, name, message, NOW, 3),
        directory=name,
    )
    failed = object_of(workload(), status=status)
    found: dict[Key, Any] = {Key("test", "Workload", f"w{number}"): failed for number in range(objects)}
    failure = wait_failure(found)
    assert failure.ByteSize() <= EVIDENCE_BYTES
    assert [c.type for c in failure.failed[0].status.conditions] == list(ConditionType)
    history = History()
    for number in range(12):
        history.add(Sample(NOW, tuple(Sum(f"{name}{i}", float(number), 1) for i in range(3))))
    history.add(Sample(NOW, error=message))
    history.add(Sample(NOW, error=name))
    miss = LabelMiss(name, LabelMatcher(name, MatchType.EQUAL, message), True, (name,))
    line = metrics.Series(family=name, name=name, labels={name: message}, workload=name)
    seen = Seen((name,) * 10, (miss,) * 3, (line,) * 20, 20, 1.5)
    metric = metric_failure(message, history, seen, failed)
    assert metric.ByteSize() <= EVIDENCE_BYTES
    assert metric.object.key.name == "web"
