"""e2e: complex multi-container scenarios in isolation, told as tests, with assertions on Prometheus metrics.

    import e2e
    from e2e import greater

    with e2e.Environment() as env:
        web = env.workload("web", image="prom/prometheus:v3.5.0", ports={"http": 9090}, metrics="http")
        web.start_and_wait_ready()
        web.wait_sum_metrics(greater(0), "prometheus_tsdb_head_series")

`Environment` and `Workload` block; `AsyncEnvironment` and `AsyncWorkload` are the same for asyncio. Names are
loaded when they are first used, so that `import e2e` costs next to nothing.
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "e2e": ("benchmark", "cadvisor", "cgroups", "monitoring", "profiling"),  # modules
    "e2e._sync": ("Client", "Environment", "Job", "Queries", "Traces", "Workload"),
    "e2e.aio": (
        *("AsyncClient", "AsyncEnvironment", "AsyncJob", "AsyncQueries", "AsyncTraces", "AsyncWorkload"),
    ),
    "e2e.addresses": ("Controller",),
    "e2e.blueprint": ("Blueprint",),
    "e2e.browser": ("open_in_browser",),
    "e2e.matchers": (
        *(
            "Baseline",
            "Expectation",
            "LabelMatcher",
            "between",
            "each",
            "equals",
            "equals_among_two",
            "greater",
        ),
        *("greater_among_two", "greater_or_equal", "increased_by", "less", "less_among_two"),
        *("less_or_equal", "not_equals", "rate"),
    ),
    "e2e.options": ("ContainerOptions", "JobOptions", "WorkloadOptions"),
    "e2e.secret": ("secret_from_env", "secret_from_file"),
    "e2e.spans": ("Span", "Trace"),
    "e2e.systems": ("AnyEnvironment", "AnyWorkload", "Linked"),
    "e2e.values": (
        *("Absent", "ContainerStatus", "Endpoint", "EnvironmentSummary", "ExecFailed", "ExecResult"),
        *("Goal", "Phase", "ProbeStatus", "Series", "WorkloadStatus"),
    ),
    "e2e_api.conditions": ("Action", "Condition", "ConditionType", "Reason", "Status"),
    "e2e_api.errors": (
        *("Conflict", "E2EError", "InvalidArgument", "LimitExceeded", "NotFound", "NotRunning"),
        *("NotWritable", "PermissionDenied", "PolicyDenied", "Unauthenticated", "Unavailable"),
        *("WaitFailed", "WaitTimeout"),
    ),
    "e2e_api.manifests": (
        *(
            "BasicAuth",
            "Build",
            "Dependency",
            "ExecProbe",
            "File",
            "GrpcProbe",
            "HealthcheckProbe",
            "HttpProbe",
            "LogProbe",
            "Metrics",
        ),
        *("Port", "Profiles", "Readiness", "Resources", "Secret", "SecretFile", "Security", "Stop"),
        *("TcpProbe", "Tls", "Volume"),
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)  # type checkers read __init__.pyi instead


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'e2e' has no attribute {name!r}")
    module = import_module(f"e2e.{name}" if home == "e2e" else home)
    value = globals()[name] = module if home == "e2e" else getattr(module, name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME_OF})
