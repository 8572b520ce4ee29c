from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.json_format import ParseDict

from e2e.cli import output
from e2e_api.v1 import object_pb2

from .fake import workload

NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0.0s"),
        (0.04, "0.0s"),
        (9.94, "9.9s"),
        (10, "10s"),
        (59.9, "59s"),
        (60, "1m"),
        (192, "3m12s"),
        (3600, "1h"),
        (7500, "2h5m"),
        (100 * 3600, "4d4h"),
    ],
)
def test_spans(seconds: float, text: str) -> None:
    assert output.span(seconds) == text


def test_a_row_of_a_ready_workload() -> None:
    found = workload("env", "web")
    found.status.conditions.add(type="Accepted", status=object_pb2.CONDITION_STATUS_TRUE)
    found.status.conditions[-1].last_transition_time.FromDatetime(NOW - timedelta(seconds=75))
    found.status.container.id = "0123456789abcdef"
    assert output.row(found, NOW) == [
        *("env", "web", "Workload", "Ready", "yes", "0", "1m15s", "busybox:1.36", "http=127.0.0.1:21000")
    ]
    wide = output.row(found, NOW, wide=True)
    assert wide[len(output.HEADERS) :] == ["http=web:80", "0123456789ab", "/state/web.json:1"]
    assert len(wide) == len(output.WIDE_HEADERS)


def test_a_row_of_what_has_no_container_yet_names_the_wanted_image() -> None:
    found = workload("env", "web", summary="", conditions=[], endpoints=[])
    found.status.ClearField("container")
    assert output.row(found, NOW) == ["env", "web", "Workload", "Pending", "no", "-", "-", "img:1", "-"]


def test_problems_are_told_with_their_reason() -> None:
    failed = {"type": "Failed", "status": "CONDITION_STATUS_TRUE", "reason": "Exited", "message": "code 3"}
    accepted = {"type": "Accepted", "status": "CONDITION_STATUS_FALSE", "reason": "Rejected", "message": "no"}
    objects = [
        workload("env", "good"),
        workload("env", "ended", conditions=[failed], summary="Failed"),
        workload("env", "wrong", conditions=[accepted]),
    ]
    assert output.problem_lines(objects) == [
        "env/Workload/ended: Exited: code 3",
        "env/Workload/wrong: Rejected: no",
    ]


def test_columns_are_as_wide_as_need_be_and_lines_have_no_tail() -> None:
    assert output.plain_columns([("A", "LONG"), ("bbbb", "c")]) == ["A     LONG", "bbbb  c"]


def test_a_document_for_machines_has_the_manifest_in_it() -> None:
    document = output.as_document(workload("env", "web"))
    assert document["manifest"] == {
        "kind": "Workload",
        "metadata": {"name": "web"},
        "spec": {"image": "img:1"},
    }
    assert "document" not in document
    assert document["key"] == {"environment": "env", "kind": "Workload", "name": "web"}
    back = ParseDict({"status": document["status"]}, object_pb2.Object())
    assert back.status.container.state == "running"
