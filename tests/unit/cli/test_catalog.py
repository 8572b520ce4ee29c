from pathlib import Path

import pytest

from e2e import catalog
from e2e.cli.files import find_manifests

from .conftest import RunE2E


def test_the_list(e2e: RunE2E) -> None:
    code, out, err = e2e("catalog")
    assert (code, err) == (0, "")
    lines = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert lines["monitoring"].startswith("Prometheus that scrapes all workloads")
    assert list(lines) == [system.name for system in catalog.systems()]


@pytest.mark.parametrize("name", [system.name for system in catalog.systems()])
def test_what_is_printed_is_right_as_a_file(e2e: RunE2E, tmp_path: Path, name: str) -> None:
    code, out, _ = e2e("catalog", name, "--env", "env")
    assert code == 0
    (tmp_path / "printed.yaml").write_text(out)
    given, problems = find_manifests([str(tmp_path)], None)
    assert problems == ""
    assert {found.key.environment for found in given} == {"env"}


def test_an_unknown_name(e2e: RunE2E) -> None:
    code, out, err = e2e("catalog", "nonsense")
    assert (code, out) == (1, "")
    assert err.startswith("error: the catalog has no 'nonsense', only alertmanager, ")
