"""A report to try things with."""

from datetime import UTC, datetime

from e2e.benchmark.asked import QueryFigures, SeriesFigures
from e2e.benchmark.report import Report
from e2e.benchmark.usage import Usage


def report(factor: float = 1.0) -> Report:
    return Report(
        name="load",
        environment="shop",
        started=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        seconds=10.0 * factor,
        usage=(
            Usage("test-process", "process", cpu_seconds=0.25 * factor),
            Usage(
                "web",
                "cadvisor",
                cpu_seconds=2.5 * factor,
                memory_peak_bytes=3e6 * factor,
                memory_mean_bytes=2.5e6 * factor,
                network_received_bytes=1234.0 * factor,
                network_sent_bytes=99.0 * factor,
                cpu_curve=((1.0, 0.2), (2.0, 0.3)),
                memory_curve=((1.0, 2e6), (2.0, 3e6)),
            ),
        ),
        queries=(
            QueryFigures(
                "requests",
                "sum by (code) (rate(requests_total[5s]))",
                (SeriesFigures({"code": "200"}, 10.0 * factor, 5.0, 15.0, 12.0, ((0.0, 5.0), (1.0, 15.0))),),
            ),
            QueryFigures("errors", 'rate(errors_total{code="</script>"}[5s])', ()),
        ),
        notes=("not looked at after the phase: <web>",),
    )
