"""Another try, where a mirror or a proxy that a new machine is set up from fails once."""

import sys
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
PAUSES = (5.0, 20.0)


def patiently(attempt: Callable[[], T], error: type[Exception]) -> T:
    """What the attempt gives; after an `error` it is made again, and the last one's is raised."""
    for pause in PAUSES:
        try:
            return attempt()
        except error as failure:
            print(f"{failure}\nonce more in {pause:g} s", file=sys.stderr, flush=True)
            time.sleep(pause)
    return attempt()
