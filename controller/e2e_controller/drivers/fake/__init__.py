"""A driver in memory, for tests: the same protocol, the same errors, no threads, no waiting."""

from e2e_controller.drivers.fake.driver import FakeDriver
from e2e_controller.drivers.fake.engine import FakeContainer, FakeEngine
from e2e_controller.drivers.fake.processes import FakeProcess, Program

__all__ = ["FakeContainer", "FakeDriver", "FakeEngine", "FakeProcess", "Program"]
