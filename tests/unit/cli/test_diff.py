"""`e2e diff` and what it prints."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.cli.differences import difference_lines
from e2e_api.errors import Unavailable
from e2e_api.v1 import manifest_service_pb2

from .conftest import RunE2E
from .fake import CliController

CHANGED = manifest_service_pb2.APPLY_ACTION_CHANGED


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "web.yaml"
    path.write_text("apiVersion: e2e/v1\nkind: Workload\nmetadata: {name: web}\nspec: {image: img:1}\n")
    return path


def test_something_new_is_a_difference(controller: CliController, e2e: RunE2E, manifest: Path) -> None:
    code, out, err = e2e("diff", "-f", manifest)
    assert code == 1
    assert out == "default/Workload/web created (dry run)\n  plan:\n    create img:1: it is not there\n"
    assert err == "1 created; nothing was changed by this\n"
    assert controller.objects == {}


def test_no_difference_is_silent(controller: CliController, e2e: RunE2E, manifest: Path) -> None:
    def unchanged(_: Any) -> Iterator[Any]:
        response = manifest_service_pb2.ApplyResponse()
        response.objects.add(action=manifest_service_pb2.APPLY_ACTION_UNCHANGED)
        yield response

    controller.answers["Apply"] = unchanged
    assert e2e("diff", "-f", manifest) == (0, "", "1 unchanged; nothing was changed by this\n")


def test_errors_are_no_difference(controller: CliController, e2e: RunE2E, manifest: Path) -> None:
    def refused(_: Any) -> Iterator[Any]:
        raise Unavailable("the engine is gone", reason="EngineUnavailable")
        yield

    controller.answers["Apply"] = refused
    code, _, err = e2e("diff", "-f", manifest)
    assert (code, err) == (2, "error: the engine is gone\n")
    manifest.write_text("kind: [")
    assert e2e("diff", "-f", manifest)[0] == 2
    assert e2e("diff")[0] == 2


def test_fields_are_short_lines_or_a_unified_diff() -> None:
    applied = manifest_service_pb2.AppliedObject(action=CHANGED, plan=["remove abc: its spec changed"])
    applied.key.environment, applied.key.kind, applied.key.name = "shop", "Workload", "web"
    applied.changes.add(path="spec.image", old="a:1", new="a:2")
    applied.changes.add(path="spec.env.A", new="")
    applied.changes.add(path="spec.files[/x].content", old="1\n2\n3\n4\n5\n", new="1\n2\n3\n4\nfive\n")
    assert list(difference_lines(applied)) == [
        "shop/Workload/web changed (dry run)",
        "  spec.image: a:1 -> a:2",
        '  spec.env.A: (none) -> ""',
        "  spec.files[/x].content:",
        "    @@ -3,3 +3,3 @@",
        "     3",
        "     4",
        "    -5",
        "    +five",
        "  plan:",
        "    remove abc: its spec changed",
    ]


def test_what_a_file_defines_says_where() -> None:
    applied = manifest_service_pb2.AppliedObject(action=CHANGED, defined_by="/manifests/web.yaml:3")
    applied.key.environment, applied.key.kind, applied.key.name = "shop", "Workload", "web"
    (line,) = difference_lines(applied)
    assert line == "shop/Workload/web changed (dry run), defined by /manifests/web.yaml:3: change it there"


def many(folder: Path, count: int, size: int) -> None:
    """Manifests of that many bytes each."""
    for number in range(count):
        head = f"apiVersion: e2e/v1\nkind: Workload\nmetadata: {{name: w{number}}}\n"
        spec = f"spec: {{image: img:1, env: {{A: {'x' * size}}}}}\n"
        (folder / f"{number}.yaml").write_text(head + spec)


@pytest.mark.parametrize("verb", [("diff",), ("apply", "--dry-run")])
def test_what_is_planned_is_planned_together(
    controller: CliController, e2e: RunE2E, tmp_path: Path, verb: tuple[str, ...]
) -> None:
    many(tmp_path, 3, 1_200_000)  # more than is applied in one request
    _, out, err = e2e(*verb, "-f", tmp_path)
    assert out.count("created (dry run)") == 3
    assert "note" not in err
    assert len(controller.asked(manifest_service_pb2.ApplyRequest)) == 1


def test_what_cannot_be_planned_together_is_told(
    controller: CliController, e2e: RunE2E, tmp_path: Path
) -> None:
    many(tmp_path, 4, 1_200_000)
    _, out, err = e2e("diff", "-f", tmp_path)
    assert out.count("created (dry run)") == 4
    assert "note: the 4 manifests do not fit into one request: they are planned in 2 parts" in err
    assert len(controller.asked(manifest_service_pb2.ApplyRequest)) == 2
