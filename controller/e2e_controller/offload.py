"""A few threads for what would hold the event loop.

What is given away is a pure function with an end of its own: nobody can stop a thread.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")

_threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="offload")


async def offload(function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """What the function gives, computed while the event loop goes on."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_threads, lambda: function(*args, **kwargs))
