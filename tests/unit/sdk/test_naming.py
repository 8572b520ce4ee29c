import subprocess
import sys

import pytest

from e2e import InvalidArgument, naming


@pytest.mark.parametrize("name", ["a", "thanos", "a-1", "0", "x" * 63])
def test_dns_labels_are_names(name: str) -> None:
    assert naming.check_label(name, "a workload") == name


@pytest.mark.parametrize("name", ["", "A", "a_b", "-a", "a-", "a.b", "x" * 64, "ä", "a\n"])
def test_anything_else_is_refused(name: str) -> None:
    with pytest.raises(InvalidArgument, match="is not a name for a workload"):
        naming.check_label(name, "a workload")


def test_a_name_is_readable_and_of_one_kind() -> None:
    name = naming.stable_name("Test_It Works!", "here")
    assert name.startswith("test-it-works-")
    assert name != naming.stable_name("Test_It Works!", "there")
    assert naming.check_label(naming.stable_name("x" * 200, ""), "x")
    assert naming.check_label(naming.stable_name("___", ""), "x").startswith("e2e-")


@pytest.mark.parametrize("case", [1, 2])
def test_a_test_has_a_name_of_its_own(case: int, monkeypatch: pytest.MonkeyPatch) -> None:
    first = naming.calling_test_name()
    assert first.startswith("test-a-test-has-a-name-of-its-own-")
    assert naming.calling_test_name() == first
    monkeypatch.setenv("PYTEST_CURRENT_TEST", f"tests/x.py::test_other[{case}] (setup)")
    setup = naming.calling_test_name()
    monkeypatch.setenv("PYTEST_CURRENT_TEST", f"tests/x.py::test_other[{case}] (call)")
    assert naming.calling_test_name() == setup != first
    monkeypatch.setenv("PYTEST_CURRENT_TEST", f"tests/x.py::test_other[{case + 1}] (call)")
    assert naming.calling_test_name() != setup


def test_outside_of_pytest_the_function_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTEST_CURRENT_TEST")

    def story() -> str:
        return naming.calling_test_name()

    assert story().startswith("test-outside-of-pytest-the-function-name")
    assert story() == story() != naming.calling_test_name()


def test_a_script_has_a_name_too() -> None:
    script = "from e2e import naming; print(naming.calling_test_name())"
    command = [sys.executable, "-c", script]
    found = subprocess.run(command, capture_output=True, text=True, check=True, env={"PATH": ""})
    assert found.stdout.startswith("e2e-")


def test_a_second_unnamed_environment_gets_a_number() -> None:
    first, second = naming.claim("same"), naming.claim("same")
    try:
        assert (first, second) == ("same", "same-2")
    finally:
        naming.release(first)
        naming.release(second)
    assert naming.claim("same") == "same"
    naming.release("same")
