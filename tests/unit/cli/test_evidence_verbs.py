"""`e2e bundle`, `e2e trace`, `e2e describe` and dry deletions."""

import json
import tarfile
from datetime import UTC, datetime
from pathlib import Path

from e2e.cli.description import describe, end_of, event_lines
from e2e.values import EnvironmentSummary
from e2e_api.v1 import evidence_service_pb2

from .conftest import RunE2E
from .fake import CliController, event, workload

NOW = datetime(2030, 1, 1, 0, 10, tzinfo=UTC)
PHASES = [
    {"name": "create", "startedAt": "2030-01-01T00:00:00Z", "duration": "0.100s"},
    {"name": "start", "startedAt": "2030-01-01T00:00:00.100Z", "duration": "0.400s"},
]


def test_a_bundle_is_written_where_asked(controller: CliController, e2e: RunE2E, tmp_path: Path) -> None:
    path = tmp_path / "shop.tar.gz"
    assert e2e("bundle", "shop", "-o", path, "--log-bytes", "100") == (0, f"{path}\n", "")
    with tarfile.open(path) as archive:
        assert "shop-evidence/logs/web.log" in archive.getnames()
    (request,) = controller.asked(evidence_service_pb2.CollectEvidenceRequest)
    assert (request.environment, request.log_bytes) == ("shop", 100)


def test_a_trace_in_all_forms(controller: CliController, e2e: RunE2E) -> None:
    assert e2e("trace", "shop")[0] == 1
    controller.add(workload("shop", "web", phases=PHASES))
    code, out, _ = e2e("trace", "shop")
    assert code == 0
    assert "  web     start   0.400s  80%" in out
    document = json.loads(e2e("trace", "shop", "-o", "json")[1])
    assert [span["name"] for span in document["criticalPath"]] == ["create", "start"]
    assert len(json.loads(e2e("trace", "shop", "-o", "chrome")[1])["traceEvents"]) == 7


def test_a_description_has_the_container_before(controller: CliController) -> None:
    previous = {"id": "abc", "state": "exited", "exitCode": 137, "signal": "SIGKILL", "lastLogLines": ["bye"]}
    found = workload("shop", "web", previousContainer=previous, action="see-evidence")
    lines = list(describe(found, [], [], NOW))
    assert "Previous container:" in lines
    assert any(line.split() == ["Signal:", "SIGKILL"] for line in lines)
    assert lines[lines.index("Its last log lines:") + 1] == "  bye"
    assert any(line.split() == ["What", "helps:", "see-evidence"] for line in lines)


def test_an_environments_end_is_told() -> None:
    ends = datetime(2030, 1, 1, 1, tzinfo=UTC)
    kept = EnvironmentSummary("shop", 1, 0, 0, "", "", ends, "keepOnFailure, and it has failed: web")
    assert end_of(kept, NOW) == ("2030-01-01 01:00:00 UTC (in 50m): keepOnFailure, and it has failed: web")
    assert end_of(EnvironmentSummary("shop", 1, 0, 1, "", ""), NOW) == ""


def test_an_event_tells_how_often_and_over_how_long() -> None:
    found = event("shop", "web", "Exited", "it exited", count=3)
    found.first_time.FromDatetime(datetime(2029, 12, 31, 23, 59, tzinfo=UTC))
    (_, line) = event_lines([found], NOW, with_object=False)
    assert line.split() == ["10m", "Warning", "Exited", "3", "over", "1m", "it", "exited"]
