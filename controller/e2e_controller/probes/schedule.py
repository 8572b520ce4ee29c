"""When to ask again. All times are of the event loop's clock, in seconds."""

from e2e_api.manifests import Readiness

_FIRST_INTERVAL = 0.01
_LAST_INTERVAL = 0.1
_GROWTH = 0.05
"""The interval as a part of the time waited so far, so that the lag stays in proportion."""
_SOON = 1.0
_LONGEST_REST = 1.0
ADOPTION_GRACE = 5.0
"""Seconds that a container is given which runs for longer than its `startupTimeout` when first seen."""


def pause(readiness: Readiness, *, ready: bool, failures: int, waited: float, rest: float) -> float:
    """Seconds from one attempt to the next.

    `failures`: in a row; `waited`: how long it is not ready by now; `rest`: what the cost of an attempt asks.
    """
    soon = min(readiness.period, _SOON)
    if ready:
        interval = soon if failures else readiness.period
    elif waited > readiness.startup_timeout:
        interval = soon
    else:
        interval = min(max(waited * _GROWTH, _FIRST_INTERVAL), _LAST_INTERVAL)
    return max(interval, min(rest, _LONGEST_REST))


def deadline(readiness: Readiness, *, started: float, seen: float) -> float:
    """When a container that was never ready has failed."""
    patience = readiness.startup_timeout
    return max(started + patience, seen + min(patience, ADOPTION_GRACE))
