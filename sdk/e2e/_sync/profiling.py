"""A Parca beside an environment's workloads, which takes their profiles again and again."""

from e2e import parca
from e2e._sync.companion import Companion
from e2e._sync.environment import Environment
from e2e._sync.workload import Workload
from e2e_api.errors import E2EError

NAME = "profiling"
"""Of the Parca, unless another is given."""


def start(
    env: Environment,
    *,
    name: str = NAME,
    scrape_interval: int = parca.SECONDS,
    image: str = parca.IMAGE,
    timeout: float | None = None,
) -> "Profiling":
    """Starts a Parca in the environment that takes profiles of all its workloads that have `profiles`.

    Those that come later are discovered, and those that are gone forgotten, within about five seconds.

    Args:
        env: an environment that is started.
        name: of the Parca.
        scrape_interval: whole seconds; each CPU profile is as long.
        image: of the Parca.
        timeout: seconds until it is ready; None is the environment's.

    Raises WaitFailed at once where its image cannot be had, with what to do about that, or where it ends;
    WaitTimeout; and Conflict where there is something of that name. Then nothing is left of it.
    """
    workload = env.workload(name, **parca.options(image, scrape_interval))
    profiling = Profiling(env, workload)
    profiling._accompany(workload)
    try:
        workload.start_and_wait_ready(timeout=timeout)
    except BaseException as error:
        profiling._give_up(error)
        if isinstance(error, E2EError):
            raise parca.without_image(error, image) from None
        raise
    return profiling


class Profiling(Companion):
    """What `start` gives; it ends with its block, with `close`, and with the environment.

    with e2e.profiling.start(env) as profiling:
        ...
    """

    def __init__(self, env: Environment, workload: Workload) -> None:
        self.parca = workload
        """The Parca; its port `http` has its pages, and its API by gRPC."""
        self._env = env

    def open_in_browser(self, path: str = "") -> bool:
        """Opens a page of Parca in the user's browser, such as `/targets`: see `e2e.open_in_browser`."""
        return self.parca.open_in_browser(path)

    def end(self, *, remove: bool) -> None:
        """What an environment that ends asks of it."""
        if remove and self._env._session.is_open:
            self.parca.remove()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._env.name}/{self.parca.name}>"
