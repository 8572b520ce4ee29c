"""The synchronous client: generated from `e2e._sync`, but for `_transport`."""

from e2e._sync.client import Client
from e2e._sync.environment import Environment
from e2e._sync.job import Job
from e2e._sync.queries import Queries
from e2e._sync.traces import Traces
from e2e._sync.workload import Workload

__all__ = ["Client", "Environment", "Job", "Queries", "Traces", "Workload"]
