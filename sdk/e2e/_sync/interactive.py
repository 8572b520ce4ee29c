"""Environments for people: they run until somebody asks for their end."""

from contextlib import ExitStack

from e2e import endings
from e2e._sync._transport import Ending, in_thread
from e2e._sync.session import Session
from e2e_api.errors import InvalidArgument


class Interactive:
    """What environments can do for who tries things out in them."""

    _session: Session

    def run_until_interrupted(self) -> None:
        """Returns when the process gets SIGINT (Ctrl+C) or SIGTERM, or its terminal is closed (SIGHUP).

        None of them does anything else meanwhile, so that the environment's block ends as usual. Signals
        reach only a process' main thread: raises InvalidArgument in any other, and NotRunning before the
        start.
        """
        if not endings.in_main_thread():
            raise InvalidArgument(
                "run_until_interrupted() needs the main thread, as signals reach no other: "
                "run_until_endpoint_hit() works in all"
            )
        self._run_until("interrupted (Ctrl+C)", Ending())

    def run_until_endpoint_hit(self, port: int = 0) -> None:
        """Prints an address; returns when somebody gets it, as with `curl`, or as `run_until_interrupted`.

        It is this machine's loopback, with the environment's name in it. In another thread than the
        main one signals do what they did before.

        Args:
            port: where to listen; 0 is any that is free.

        Raises Conflict for a port that is taken, and NotRunning before the start.
        """
        ending = Ending()
        endpoint = endings.Endpoint(self._session.environment, port, ending.tell)
        try:
            self._run_until(f"{endpoint.url} is requested, or interrupted (Ctrl+C)", ending)
        finally:
            in_thread(endpoint.close)

    def _run_until(self, what: str, ending: Ending) -> None:
        _ = self._session.client  # raises before the start
        with ExitStack() as stack:
            if endings.in_main_thread():
                stack.enter_context(endings.signals(ending.tell))
            endings.announce(f"environment {self._session.environment} runs until {what}")
            ending.wait()
