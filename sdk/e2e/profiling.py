"""Profiles of all that is profiled in an environment, taken again and again: a Parca beside it.

    with e2e.profiling.start(env) as profiling:
        ...
        profiling.open_in_browser()

`e2e.aio.profiling.start` is the same with `await`.
"""

from e2e._sync.profiling import Profiling, start
from e2e.parca import IMAGE, ProfileTarget

__all__ = ["IMAGE", "ProfileTarget", "Profiling", "start"]
