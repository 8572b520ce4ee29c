"""A driver in memory, for tests: the same protocol, the same errors, no threads, no waiting."""

from e2e_controller.drivers.fake.driver import FakeDriver
from e2e_controller.drivers.fake.engine import FakeContainer, FakeEngine
from e2e_controller.drivers.fake.faults import FAULT_KINDS, Fault, FaultKind
from e2e_controller.drivers.fake.faulty import FaultyDriver
from e2e_controller.drivers.fake.processes import FakeProcess, Program

__all__ = [
    "FAULT_KINDS",
    "FakeContainer",
    "FakeDriver",
    "FakeEngine",
    "FakeProcess",
    "Fault",
    "FaultKind",
    "FaultyDriver",
    "Program",
]
