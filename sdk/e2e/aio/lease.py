"""The claim on an environment, which outlives the controller that granted it."""

from e2e.addresses import revive
from e2e.aio._transport import AsyncBackground, AsyncFlag, AsyncHeld, in_thread
from e2e.aio.client import AsyncClient
from e2e_api.errors import E2EError
from e2e_api.v1 import environment_service_pb2

_FIRST_PAUSE, _LAST_PAUSE = 0.05, 0.5
_HOLD_SECONDS = 10.0


class AsyncLease:
    """Holds an environment until it is released.

    A controller that ends loses its leases. Once it runs again, it gives its clients time to hold anew what
    they held, before it removes that; so this is done at once. An embedded one is started for it.
    """

    def __init__(
        self,
        client: AsyncClient,
        environment: str,
        held: AsyncHeld[environment_service_pb2.HoldResponse],
        *,
        keep: bool,
    ) -> None:
        """`held` is the claim that was granted first."""
        self._client = client
        self._environment = environment
        self._held = held
        self._keep = keep
        self._released = AsyncFlag()
        self._background = AsyncBackground(f"lease of {environment}", self._renew)

    async def release(self) -> None:
        """Ends the claim."""
        self._released.set()
        self._background.stop()
        await self._held.release()

    async def _renew(self) -> None:
        while not self._released.is_set():
            await self._held.ended()
            await self._hold_again()

    async def _hold_again(self) -> None:
        pause = _FIRST_PAUSE
        while not await self._released.wait(pause):
            pause = min(2 * pause, _LAST_PAUSE)
            try:
                await in_thread(revive, self._client.target)
                self._held = await self._client.hold(
                    self._environment, fresh=False, keep=self._keep, timeout=_HOLD_SECONDS
                )
            except (E2EError, OSError):  # the latter where nothing can be written, such as a log
                continue  # whoever uses the controller meanwhile is told why it does not answer
            if self._released.is_set():  # while it was asked for
                await self._held.release()
            return
