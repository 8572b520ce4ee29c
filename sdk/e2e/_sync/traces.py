"""What a Jaeger knows of traces, and waits for them."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from e2e._sync import http
from e2e._sync._transport import pause
from e2e._sync.client import CALL_SECONDS
from e2e._sync.workload import Workload
from e2e.matchers import Expectation, Judge, greater_or_equal, words_for
from e2e.sightings import Looks, Sighting, Wanted, explain
from e2e.spans import TagValue, Trace, operations_of, services_of, traces_of
from e2e_api.errors import (
    E2EError,
    InvalidArgument,
    NotFound,
    NotRunning,
    Unavailable,
    WaitFailed,
    WaitTimeout,
)

if TYPE_CHECKING:
    import httpx

MOST_TRACES = 200
_LOOKS = (0.05, 0.5)
"""Seconds between the first looks, and between those of a long wait."""
_LOOK_SECONDS = 5.0
_RETRIED = (NotFound, NotRunning, Unavailable, WaitTimeout)


class Traces:
    """What a Jaeger knows.

    jaeger = e2edb.jaeger(env, "jaeger")
    ...
    traces = e2e.Traces(jaeger).wait("query-1", across=["sidecar-1"])
    """

    def __init__(self, jaeger: Workload, *, port: str = "http") -> None:
        """Nothing is asked yet. `port` is the name of the port of Jaeger's query API."""
        self._jaeger = jaeger
        self._port = port

    def services(self) -> list[str]:
        """The services that it has spans of, sorted. Raises as `find`."""
        with http.new_client() as client:
            return services_of(self._ask(client, "services", {}, CALL_SECONDS))

    def operations(self, service: str) -> list[str]:
        """The operations of one service, sorted. Raises as `find`."""
        with http.new_client() as client:
            return operations_of(self._ask(client, "operations", {"service": service}, CALL_SECONDS))

    def find(
        self,
        service: str,
        operation: str | None = None,
        tags: Mapping[str, TagValue] | None = None,
        *,
        across: Sequence[str] = (),
        where: Callable[[Trace], bool] | None = None,
        limit: int = MOST_TRACES,
    ) -> list[Trace]:
        """The traces that it has now, the earliest first.

        Args:
            service: that a span of the trace is of.
            operation: of that span; None is any.
            tags: of that span or its process, each equal.
            across: other services that must have a span in the trace too.
            where: any other condition of a trace.
            limit: the most traces that are looked at, the newest.

        Raises NotRunning while Jaeger does not run, Unavailable or WaitTimeout where it does not answer.
        """
        wanted = Wanted(service, operation, tags or {}, across, where, limit)
        with http.new_client() as client:
            return wanted.select(traces_of(self._ask(client, "traces", wanted.query(), CALL_SECONDS)))

    def get(self, trace_id: str) -> Trace:
        """One trace, by its id in hexadecimal. Raises NotFound, and otherwise as `find`."""
        if not re.fullmatch("[0-9a-fA-F]{1,32}", trace_id):
            raise InvalidArgument(f"expected a trace's id in hexadecimal, not {trace_id!r}")
        with http.new_client() as client:
            found = traces_of(self._ask(client, f"traces/{trace_id}", {}, CALL_SECONDS))
        if not found:
            raise NotFound(f"{self._jaeger.name} has no trace {trace_id}")
        return found[0]

    def wait(
        self,
        service: str,
        operation: str | None = None,
        tags: Mapping[str, TagValue] | None = None,
        *,
        across: Sequence[str] = (),
        where: Callable[[Trace], bool] | None = None,
        expectation: Expectation | Judge | None = None,
        limit: int = MOST_TRACES,
        timeout: float | None = None,
    ) -> list[Trace]:
        """Waits until the number of traces that match is as expected; gives them, the earliest first.

        A trace may get more spans later; `across` and `where` say what it must have.

        Args:
            service: which traces count; this and the next four as `find` takes them.
            operation: see `find`.
            tags: see `find`.
            across: see `find`.
            where: see `find`.
            expectation: of their number, such as `equals(3)`, or a callable; None is at least one.
            limit: the most traces that are looked at.
            timeout: seconds; None is the environment's.

        Raises WaitFailed at once when Jaeger can no longer answer, with the evidence, and WaitTimeout; both
        tell which services and operations Jaeger knows instead.
        """
        wanted = Wanted(service, operation, tags or {}, across, where, limit)
        expected = greater_or_equal(1) if expectation is None else expectation
        if isinstance(expected, Expectation):
            expected.check_count(1)
        words = str(expected) if isinstance(expected, Expectation) else words_for(expected)
        looks = Looks(time.monotonic(), self._jaeger._session.seconds(timeout))
        with http.new_client() as client:
            try:
                return self._look_until(client, wanted, expected, looks)
            except (WaitFailed, WaitTimeout) as error:
                sighting = self._sighting(client, wanted)
                raise explain(error, self._jaeger.name, wanted, words, looks, sighting) from None

    def _look_until(
        self, client: httpx.Client, wanted: Wanted, expected: Expectation | Judge, looks: Looks
    ) -> list[Trace]:
        interval, most = _LOOKS
        while True:
            try:
                patience = max(_LOOKS[1], min(_LOOK_SECONDS, looks.left()))
                looks.found = traces_of(self._ask(client, "traces", wanted.query(), patience))
                looks.trouble = ""
            except _RETRIED as error:
                looks.trouble = error.message
                # Raises where it never will run again; while it runs, it may answer next time.
                self._jaeger.wait_running(timeout=looks.left())
            else:
                matching = wanted.select(looks.found)
                looks.note(len(matching))
                if expected(float(len(matching))):
                    return matching
            if looks.left() <= 0:
                raise WaitTimeout("it was not so in time", reason="Timeout")
            pause(min(interval, looks.left()))
            interval = min(2 * interval, most)

    def _sighting(self, client: httpx.Client, wanted: Wanted) -> Sighting | None:
        """What Jaeger knows instead; None where it does not say."""
        service = {"service": wanted.service}
        any_of_it = Wanted(wanted.service, limit=wanted.limit).query()
        try:
            services = services_of(self._ask(client, "services", {}, _LOOK_SECONDS))
            operations = operations_of(self._ask(client, "operations", service, _LOOK_SECONDS))
            traces = traces_of(self._ask(client, "traces", any_of_it, _LOOK_SECONDS))
        except E2EError:
            return None
        return Sighting(services, operations, traces)

    def _ask(self, client: httpx.Client, path: str, query: Mapping[str, str], seconds: float) -> bytes:
        address = self._jaeger.endpoint(self._port)
        return http.get(client, f"http://{address}/api/{path}", params=query, seconds=seconds)
