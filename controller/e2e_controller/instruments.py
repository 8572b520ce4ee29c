"""The controller's own metrics."""

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Instruments:
    """Counters and histograms that the parts of the controller feed, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._reconciles = self._counter("e2e_reconciles", "Reconciles by kind and result.", "kind", "result")
        self._durations = self._histogram(
            "e2e_reconcile_duration_seconds", "How long a reconcile took.", "kind"
        )
        self._engine_calls = self._histogram(
            "e2e_engine_call_duration_seconds", "How long an engine call took.", "call", "result"
        )
        self._probes = self._histogram(
            "e2e_probe_duration_seconds", "How long a readiness probe took.", "type", "result"
        )
        self._leaks_found = self._counter(
            "e2e_leaks_found",
            "Things found that no live controller owns, by kind and their controller's state.",
            "kind",
            "state",
        )
        self._leaks_removed = self._counter(
            "e2e_leaks_removed", "Removals of such things, by kind and result.", "kind", "result"
        )
        self._evictions = self._counter(
            "e2e_evictions", "Environments deleted since nobody held them any more."
        )
        self._retries = self._counter(
            "e2e_retries", "Attempts that failed, and are made again.", "kind", "reason"
        )
        self._adoptions = self._counter("e2e_adoptions", "Containers that were there at the start, as asked.")
        self._restarts = self._counter("e2e_restarts", "Containers that were started again.")
        self._refusals = self._counter(
            "e2e_refused_calls", "Calls over TCP that were refused, by reason.", "reason"
        )
        self._renewals = self._counter(
            "e2e_renewals", "Certificates, tokens and policies that were read again, by result.", "result"
        )
        self._expiry = Gauge(
            "e2e_certificate_expiry_timestamp_seconds",
            "When the certificate of the server expires; 0 without one.",
            registry=self.registry,
        )

    def refused(self, reason: str) -> None:
        """A call was refused."""
        self._refusals.labels(reason).inc()

    def renewed(self, success: bool) -> None:
        """Files of certificates, tokens or a policy have changed, and were read."""
        self._renewals.labels(_result(success)).inc()

    def certificate_expires(self, timestamp: float) -> None:
        """The certificate of the server is valid until then, in seconds since 1970."""
        self._expiry.set(timestamp)

    def _counter(self, name: str, documentation: str, *labels: str) -> Counter:
        return Counter(name, documentation, labels, registry=self.registry)

    def _histogram(self, name: str, documentation: str, *labels: str) -> Histogram:
        return Histogram(name, documentation, labels, buckets=_BUCKETS, registry=self.registry)

    def leak_found(self, kind: str, state: str) -> None:
        """Something was found that no live controller owns."""
        self._leaks_found.labels(kind, state).inc()

    def leak_removed(self, kind: str, success: bool) -> None:
        """The removal of something that was found ended."""
        self._leaks_removed.labels(kind, _result(success)).inc()

    def evicted(self) -> None:
        """An environment is deleted since nobody holds it."""
        self._evictions.inc()

    def retried(self, kind: str, reason: str) -> None:
        """One attempt failed."""
        self._retries.labels(kind, reason).inc()

    def adopted(self) -> None:
        """One container was there already."""
        self._adoptions.inc()

    def restarted(self) -> None:
        """One container was started again."""
        self._restarts.inc()

    def reconciled(self, kind: str, seconds: float, success: bool) -> None:
        """One reconcile ended."""
        self._reconciles.labels(kind, _result(success)).inc()
        self._durations.labels(kind).observe(seconds)

    def engine_called(self, call: str, seconds: float, success: bool) -> None:
        """One engine call ended."""
        self._engine_calls.labels(call, _result(success)).observe(seconds)

    def probed(self, type_: str, seconds: float, success: bool) -> None:
        """One probe ended."""
        self._probes.labels(type_, _result(success)).observe(seconds)

    def collect_gauges(
        self,
        queue_depth: Callable[[], int],
        queue_failing: Callable[[], int],
        objects: Callable[[], Iterable[tuple[str, str, str]]],
        leases: Callable[[], int],
    ) -> None:
        """Adds what is counted when it is asked for. `objects` gives (kind, condition, status) each."""
        self.registry.register(_Gauges(queue_depth, queue_failing, objects, leases))


def _result(success: bool) -> str:
    return "success" if success else "error"


class _Gauges(Collector):
    def __init__(
        self,
        queue_depth: Callable[[], int],
        queue_failing: Callable[[], int],
        objects: Callable[[], Iterable[tuple[str, str, str]]],
        leases: Callable[[], int],
    ) -> None:
        self._queue_depth = queue_depth
        self._queue_failing = queue_failing
        self._objects = objects
        self._leases = leases

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield GaugeMetricFamily("e2e_queue_depth", "Keys that wait for a worker.", self._queue_depth())
        yield GaugeMetricFamily(
            "e2e_queue_failing", "Keys that failed last, and are tried again.", self._queue_failing()
        )
        yield GaugeMetricFamily("e2e_leases", "Claims of clients on environments.", self._leases())
        family = GaugeMetricFamily(
            "e2e_objects", "Objects by kind and condition.", labels=["kind", "condition", "status"]
        )
        counts: dict[tuple[str, str, str], int] = {}
        for labels in self._objects():
            counts[labels] = counts.get(labels, 0) + 1
        for labels, count in sorted(counts.items()):
            family.add_metric(labels, count)
        yield family
