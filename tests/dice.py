"""Chance in tests: `make test` throws the same dice each time, `make soak` others each time."""

import os
import random

from hypothesis import HealthCheck, settings

EXPLORES = os.environ.get("E2E_SOAK_EXPLORE", "") not in ("", "0")
_SEED = 1


def seed() -> int:
    """Of random moments and messages; E2E_SOAK_SEED gives those of an earlier run again."""
    fresh = random.SystemRandom().randrange(2**32) if EXPLORES else _SEED
    return int(os.environ.get("E2E_SOAK_SEED") or fresh)


def load_profile() -> None:
    """Property tests judge no durations: on a busy machine they would be wrong now and then."""
    settings.register_profile(
        "patient",
        deadline=None,
        derandomize=not EXPLORES,
        print_blob=EXPLORES,
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile("patient")
