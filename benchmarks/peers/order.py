"""What a peer is asked to run."""

import json
from dataclasses import asdict, dataclass

from benchmarks.contenders import PAGE, PORT

METRICS = "/metrics"
"""The page of metrics: the Go framework knows no other."""


@dataclass(frozen=True, slots=True)
class Order:
    """Some equal HTTP servers. The drivers read these names, too."""

    size: int
    image: str
    command: tuple[str, ...]
    page: str = PAGE
    """Each is ready when it answers 200 there."""
    port: int = PORT
    folder: str = ""
    """Of the host; the containers see it under the same path."""
    metric: str = ""
    """Waited for by `wait_metric`, on page `METRICS`."""
    period: str = "1s"
    """Of health checks, where the peer lets the engine look."""

    def line(self, prefix: str) -> str:
        """For a driver: what it makes has names that begin with the prefix."""
        return json.dumps({**asdict(self), "prefix": prefix})
