import pytest

import e2e


@pytest.fixture
def env() -> e2e.Environment:
    """An environment that is not started."""
    return e2e.Environment("env")
