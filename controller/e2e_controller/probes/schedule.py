"""When to ask again. All times are of the event loop's clock, in seconds."""

import math

from e2e_api.manifests import Readiness

_FIRST_INTERVAL = 0.01
_LAST_INTERVAL = 0.1
_INTERVAL_OF_ONE, _INTERVAL_OF_EACH = 0.015, 0.002
"""The longest interval where few wait, and what each of a crowd adds: it starts slowly enough for the lag not
to show, and shall not be slowed down by being asked all the time."""
_GROWTH = 0.05
"""The interval as a part of the time waited so far, so that the lag stays in proportion."""
_ROUNDING = 1e-6
_SOON = 1.0
_LONGEST_REST = 1.0
_SLACK = 0.1
"""The part of its period by which a look at what is ready may be late, to be made together with others:
a processor that has just made one makes the next at a quarter of the cost."""
ADOPTION_GRACE = 5.0
"""Seconds that a container is given which runs for longer than its `startupTimeout` when first seen."""


def pause(
    readiness: Readiness,
    *,
    ready: bool,
    failures: int,
    waited: float,
    rest: float,
    crowd: int,
    now: float,
) -> float:
    """Seconds from one attempt to the next.

    `failures`: in a row; `waited`: how long it is not ready by now; `rest`: what the cost of an attempt asks;
    `crowd`: how many are not ready.
    """
    soon = min(readiness.period, _SOON)
    if ready:
        interval = soon if failures else _rest(readiness.period, now)
    elif waited > readiness.startup_timeout:
        interval = soon
    else:
        longest = min(max(crowd * _INTERVAL_OF_EACH, _INTERVAL_OF_ONE), _LAST_INTERVAL)
        interval = min(max(waited * _GROWTH, _FIRST_INTERVAL), longest)
    return max(interval, min(rest, _LONGEST_REST))


def _rest(period: float, now: float) -> float:
    """From now to the first common moment after the period."""
    grid = period * _SLACK
    return math.ceil((now + period) / grid - _ROUNDING) * grid - now


def deadline(readiness: Readiness, *, started: float, seen: float) -> float:
    """When a container that was never ready has failed."""
    patience = readiness.startup_timeout
    return max(started + patience, seen + min(patience, ADOPTION_GRACE))
