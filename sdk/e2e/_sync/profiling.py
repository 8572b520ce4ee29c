"""Profiles of all that is profiled in an environment, taken again and again: a Parca beside it."""

from types import TracebackType
from typing import Self

from e2e import parca
from e2e._sync import http
from e2e._sync.client import CALL_SECONDS
from e2e._sync.environment import Environment
from e2e._sync.workload import Workload
from e2e.parca import ProfileTarget
from e2e_api.errors import E2EError, InvalidArgument

SCRAPE_INTERVAL = 5


class Profiling:
    """A Parca that watches an environment; made by `start`."""

    def __init__(self, workload: Workload) -> None:
        self.parca = workload
        """The workload; its port `http` has pages and API."""

    def targets(self) -> list[ProfileTarget]:
        """What it takes profiles of now, by workload and kind.

        Raises NotRunning while it does not run, Unavailable or WaitTimeout where it does not answer.
        """
        address = self.parca.endpoint("http")
        with http.new_client() as client:
            return parca.targets_of(http.get(client, f"http://{address}/api/targets", seconds=CALL_SECONDS))

    def open_in_browser(self, path: str = "") -> bool:
        """Opens its pages in the user's browser, or prints their address. Raises NotRunning."""
        return self.parca.open_in_browser(path)

    def close(self, *, timeout: float | None = None) -> None:
        """Removes it, with what it has gathered."""
        self.parca.remove(timeout=timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.close()


def start(
    env: Environment,
    *,
    name: str = "parca",
    scrape_interval: int = SCRAPE_INTERVAL,
    image: str = parca.IMAGE,
    timeout: float | None = None,
) -> Profiling:
    """Starts a Parca that takes profiles of every workload that has `profiles`, those yet to come too.

    Args:
        env: the environment, which is started.
        name: of the workload.
        scrape_interval: whole seconds; so long is each CPU profile.
        image: Parca's, 0.20 or later.
        timeout: seconds until it is ready; None is the environment's.

    Raises WaitFailed at once where its image cannot be had, with what to do about that, or where it ends;
    nothing of it is left then. WaitTimeout.
    """
    if isinstance(scrape_interval, bool) or scrape_interval != int(scrape_interval) or scrape_interval < 1:
        raise InvalidArgument(f"scrape_interval: expected whole seconds, 1 or more, not {scrape_interval}")
    workload = env.workload(name, **parca.options(image, int(scrape_interval)))
    try:
        workload.start_and_wait_ready(timeout=timeout)
    except E2EError as error:
        workload.remove()
        raise parca.without_image(error, image) from None
    return Profiling(workload)
