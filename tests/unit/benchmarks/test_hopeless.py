import json
from typing import Any

import pytest

import e2e
from benchmarks.report import Findings
from benchmarks.scenarios import hopeless
from e2e_api.parsing import parse_documents
from e2e_api.v1 import object_pb2

KEY = object_pb2.ObjectKey(environment="test", kind="Workload", name="web")


class FakeClient:
    """Its waits end as they are told to."""

    def __init__(self, end: Exception | None = None) -> None:
        self.end = end

    def wait(self, keys: object, goal: object, timeout: object) -> None:
        if self.end is not None:
            raise self.end


def test_each_reason_has_a_line_of_its_own() -> None:
    findings = Findings()
    for name in hopeless.WORDS:
        findings.keep(f"{name}_told_ms", [10.0, 20.0, 60.0])
    findings.keep("unparsable_told_ms", [90.0, 100.5, 400.0])
    findings.keep("dependency_floor_ms", [15.0, 5.0, 10.0])
    hopeless.judge(findings)
    lines = dict(zip(hopeless.WORDS, findings.lines, strict=True))
    assert [name for name, line in lines.items() if not line.met] == ["unparsable"]
    assert lines["unparsable"].spread == (90.0, 400.0)
    dependency = lines["dependency"]
    assert (dependency.value, dependency.floor, dependency.ratio, dependency.count) == (20.0, 10.0, 2.0, 3)
    assert lines["deleted"].floor is None


def test_a_wait_counts_only_when_it_ends_for_the_reason() -> None:
    client: Any = FakeClient(e2e.WaitFailed("gone", reason="Deleted"))
    hopeless.wait_in_vain(client, KEY, "Deleted")
    with pytest.raises(e2e.WaitFailed):
        hopeless.wait_in_vain(client, KEY, "Rejected")
    with pytest.raises(AssertionError, match="web is ready, where Deleted was expected"):
        hopeless.wait_in_vain(FakeClient(), KEY, "Deleted")  # type: ignore[arg-type]


def test_what_is_written_is_right_rejected_or_does_not_parse() -> None:
    right = hopeless.document("web", "busybox")
    (document,) = parse_documents(right.encode())
    assert document.manifest is not None
    (document,) = parse_documents(hopeless.document("web", "busybox", imagePullPolicy="Sometimes").encode())
    assert document.manifest is None
    assert "imagePullPolicy" in str(document.problems[0])
    assert json.loads(right)["spec"]["readiness"]["http"]["path"] == "/never-there"
