"""What the benchmark reads that others wrote."""

import os

from benchmarks.gauge import usage
from benchmarks.scenarios.calls import engine_calls
from benchmarks.scenarios.start import import_times

IMPORT_LOG = """\
import time: self [us] | cumulative | imported package
import time:       100 |        100 |   zipimport
import time:      2000 |       2000 |       aiohttp.connector
import time:      1000 |       3000 |     aiohttp
a warning of something else
import time:       500 |       3500 | e2e_controller.manager
"""

METRICS = """\
# HELP e2e_engine_call_duration_seconds How long an engine call took.
# TYPE e2e_engine_call_duration_seconds histogram
e2e_engine_call_duration_seconds_bucket{call="inspect",le="0.001",result="success"} 1.0
e2e_engine_call_duration_seconds_count{call="inspect",result="success"} 4.0
e2e_engine_call_duration_seconds_sum{call="inspect",result="success"} 0.02
e2e_engine_call_duration_seconds_count{call="inspect",result="error"} 1.0
e2e_engine_call_duration_seconds_sum{call="inspect",result="error"} 0.5
e2e_engine_call_duration_seconds_count{call="inspect image",result="success"} 2.0
e2e_engine_call_duration_seconds_sum{call="inspect image",result="success"} 1e-05
e2e_queue_depth 0.0
"""


def test_import_times_are_summed_by_package_without_children() -> None:
    found = import_times(IMPORT_LOG)
    assert found["total_ms"] == 3.6
    assert found["by_package_ms"] == {"aiohttp": 3.0, "e2e_controller": 0.5, "zipimport": 0.1}
    assert list(found["slowest_ms"]) == [
        "aiohttp.connector",
        "aiohttp",
        "e2e_controller.manager",
        "zipimport",
    ]
    assert found["slowest_with_children_ms"]["e2e_controller.manager"] == 3.5


def test_engine_calls_count_successes_and_errors_together() -> None:
    assert engine_calls(METRICS) == {"inspect": (5.0, 0.52), "inspect image": (2.0, 1e-05)}


def test_the_use_of_this_process_is_more_than_nothing() -> None:
    before = usage(os.getpid())
    sum(number * number for number in range(2_000_000))
    after = usage(os.getpid())
    assert after.processor > before.processor
    assert 5 < after.resident < 5000
    assert after.threads >= 1
