"""What the project promises (its design, section "Budgets"), as limits to compare with."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Budget:
    """A figure must not be above `limit`, which is in the figure's own unit."""

    limit: float
    text: str


FLEET = Budget(1.10, "1.10 x floor")
ONE_WORKLOAD = Budget(20.0, "floor + 20 ms")
READY_MEDIAN = Budget(15.0, "15 ms")
READY_P99 = Budget(60.0, "60 ms")
METRIC_MEDIAN = Budget(60.0, "60 ms")
FILE_MEDIAN = Budget(30.0, "30 ms")
DIED = Budget(100.0, "100 ms")
HOPELESS = Budget(100.0, "100 ms")
EMBEDDED_START = Budget(0.8, "0.8 s")
REST_PROCESSOR = Budget(1.0, "1 %")
REST_MEMORY = Budget(100.0, "100 MB")
RESTART = Budget(3.0, "3 s")
RESTART_WRITES = Budget(0.0, "0")
