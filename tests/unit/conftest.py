"""What their runner likes to see changes nothing for unit tests."""

from collections.abc import Iterator

import pytest

_TASTES = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "PY_COLORS", "TTY_COMPATIBLE", "TTY_INTERACTIVE")


@pytest.fixture(scope="session", autouse=True)
def usual_output() -> Iterator[None]:
    """What is written here, and by other runs of pytest, is as where nobody asks for colours or widths."""
    with pytest.MonkeyPatch.context() as patched:
        for name in (*_TASTES, "PYTEST_ADDOPTS"):
            patched.delenv(name, raising=False)
        yield
