"""Which class a workload with verbs of its own is of."""

from typing import Any

from e2e import AsyncWorkload, Workload
from e2edb._sync.systems import LiveWorkload
from e2edb.aio.systems import AsyncLiveWorkload


def with_verbs(workload: Any, sync: type[LiveWorkload], asynchronous: type[AsyncLiveWorkload]) -> Any:
    """The workload of either kind as the class of that kind; one of another kind stays as it is."""
    if isinstance(workload, AsyncWorkload):
        return asynchronous.of(workload)
    return sync.of(workload) if isinstance(workload, Workload) else workload
