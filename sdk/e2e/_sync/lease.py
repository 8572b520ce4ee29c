"""The claim on an environment, which outlives the controller that granted it."""

from e2e._sync._transport import Background, Flag, Held, in_thread
from e2e._sync.client import Client
from e2e.addresses import revive
from e2e_api.errors import E2EError
from e2e_api.v1 import environment_service_pb2

_FIRST_PAUSE, _LAST_PAUSE = 0.05, 0.5
_HOLD_SECONDS = 10.0


class Lease:
    """Holds an environment until it is released.

    A controller that ends loses its leases. Once it runs again, it gives its clients time to hold anew what
    they held, before it removes that; so this is done at once. An embedded one is started for it.
    """

    def __init__(
        self,
        client: Client,
        environment: str,
        held: Held[environment_service_pb2.HoldResponse],
        *,
        keep: bool,
    ) -> None:
        """`held` is the claim that was granted first."""
        self._client = client
        self._environment = environment
        self._held = held
        self._keep = keep
        self._released = Flag()
        self._background = Background(f"lease of {environment}", self._renew)

    def release(self) -> None:
        """Ends the claim."""
        self._released.set()
        self._background.stop()
        self._held.release()

    def _renew(self) -> None:
        while not self._released.is_set():
            self._held.ended()
            self._hold_again()

    def _hold_again(self) -> None:
        pause = _FIRST_PAUSE
        while not self._released.wait(pause):
            pause = min(2 * pause, _LAST_PAUSE)
            try:
                in_thread(revive, self._client.target)
                self._held = self._client.hold(
                    self._environment, fresh=False, keep=self._keep, timeout=_HOLD_SECONDS
                )
            except (E2EError, OSError):  # the latter where nothing can be written, such as a log
                continue  # whoever uses the controller meanwhile is told why it does not answer
            if self._released.is_set():  # while it was asked for
                self._held.release()
            return
