"""A Parca beside an environment's workloads, which takes their profiles again and again."""

from e2e import parca
from e2e.aio.companion import AsyncCompanion
from e2e.aio.environment import AsyncEnvironment
from e2e.aio.workload import AsyncWorkload
from e2e_api.errors import E2EError

NAME = "profiling"
"""Of the Parca, unless another is given."""


async def start(
    env: AsyncEnvironment,
    *,
    name: str = NAME,
    scrape_interval: int = parca.SECONDS,
    image: str = parca.IMAGE,
    timeout: float | None = None,
) -> "AsyncProfiling":
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
    profiling = AsyncProfiling(env, workload)
    await profiling._accompany(workload)
    try:
        await workload.start_and_wait_ready(timeout=timeout)
    except BaseException as error:
        await profiling._give_up(error)
        if isinstance(error, E2EError):
            raise parca.without_image(error, image) from None
        raise
    return profiling


class AsyncProfiling(AsyncCompanion):
    """What `start` gives; it ends with its block, with `close`, and with the environment.

    async with await e2e.profiling.start(env) as profiling:
        ...
    """

    def __init__(self, env: AsyncEnvironment, workload: AsyncWorkload) -> None:
        self.parca = workload
        """The Parca; its port `http` has its pages, and its API by gRPC."""
        self._env = env

    async def open_in_browser(self, path: str = "") -> bool:
        """Opens a page of Parca in the user's browser, such as `/targets`: see `e2e.open_in_browser`."""
        return await self.parca.open_in_browser(path)

    async def end(self, *, remove: bool) -> None:
        """What an environment that ends asks of it."""
        if remove and self._env._session.is_open:
            await self.parca.remove()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._env.name}/{self.parca.name}>"
