"""What failed is run once more: when that may pass for chance, and when not."""

import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import pathlib

import pytest

@pytest.mark.parametrize("number", range({flaky}))
def test_by_chance(number):
    ran = pathlib.Path(f"ran-{{number}}")
    ran.write_text(ran.read_text() + "." if ran.exists() else ".")
    assert ran.read_text() == ".."

@pytest.mark.parametrize("number", range({broken}))
def test_broken(number):
    assert not "a defect"

def test_sound():
    with open("sound", "a") as file:
        file.write(".")
"""
LEAVES_SOMETHING = """
def pytest_sessionfinish(session):
    session.exitstatus = 10
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pytest.ini").touch()
    return tmp_path


def run(
    folder: Path, *, flaky: int = 0, broken: int = 0, workers: int = 0
) -> subprocess.CompletedProcess[str]:
    (folder / "test_some.py").write_text(TESTS.format(flaky=flaky, broken=broken))
    repository = Path(__file__).parents[2]
    program = f"import sys; sys.path.insert(0, {str(repository)!r}); from tests import again; "
    program += f"sys.exit(again.main(['-n', '{workers}', '-p', 'no:e2e']))"
    return subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=120
    )


def test_what_fails_by_chance_is_told_and_passes(folder: Path) -> None:
    ran = run(folder, flaky=3, workers=2)
    assert ran.returncode == 0, ran.stdout
    told = ran.stdout.strip().splitlines()[-1]
    assert told.startswith("=== FLAKY")
    assert all(f"test_by_chance[{number}]" in told for number in range(3))
    assert (folder / "sound").read_text() == ".", "the sound test ran once"


def test_what_fails_again_fails(folder: Path) -> None:
    ran = run(folder, flaky=1, broken=1)
    assert ran.returncode == pytest.ExitCode.TESTS_FAILED
    assert "FLAKY" not in ran.stdout


def test_many_are_not_chance(folder: Path) -> None:
    ran = run(folder, flaky=4)
    assert ran.returncode == pytest.ExitCode.TESTS_FAILED
    assert (folder / "ran-0").read_text() == ".", "no test ran twice"


def test_what_was_left_behind_is_not_chance(folder: Path) -> None:
    (folder / "conftest.py").write_text(LEAVES_SOMETHING)
    ran = run(folder, flaky=1)
    assert ran.returncode == 10
    assert (folder / "ran-0").read_text() == "."


def test_a_broken_file_is_not_chance(folder: Path) -> None:
    (folder / "test_other.py").write_text("import nothing_of_that_name\n")
    ran = run(folder, flaky=1)
    assert ran.returncode not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
