"""testcontainers-python as a peer of the benchmark: reads commands, answers each, see `process.py`.

Its documentation starts containers one after the other; the argument is the number of threads that do.
"""

import json
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from testcontainers.core.container import DockerContainer, Reaper
from testcontainers.core.wait_strategies import HttpWaitStrategy


class Peer:
    """Holds what it has started."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._order: dict[str, Any] = {}
        self._started: list[DockerContainer] = []

    def prepare(self, text: str) -> None:
        """Takes the order."""
        self._order = json.loads(text)

    def up(self, _: str) -> None:
        """Starts all, each until it answers."""
        self._each(self._start, range(self._order["size"]))

    def down(self, _: str = "") -> None:
        """Stops all, which removes them."""
        started, self._started = self._started, []
        self._each(DockerContainer.stop, started)

    def kept(self, _: str) -> str:
        """Identifies what runs besides: its Ryuk, where that is enabled."""
        container = Reaper._container  # it has no public name
        return "" if container is None else str(container.get_wrapped_container().id)

    def _start(self, number: int) -> None:
        order = self._order
        container = DockerContainer(order["image"]).with_name(f"{order['prefix']}-{number}")
        container.with_command(order["command"]).with_exposed_ports(order["port"])
        if order["folder"]:
            container.with_volume_mapping(order["folder"], order["folder"], "rw")
        container.waiting_for(HttpWaitStrategy(order["port"], order["page"]).for_status_code(200))
        self._started.append(container)
        container.start()

    def _each(self, function: Callable[[Any], None], things: Iterable[Any]) -> None:
        if self._threads == 1:
            for thing in things:
                function(thing)
        else:
            with ThreadPoolExecutor(self._threads) as pool:
                list(pool.map(function, things))


def main() -> None:
    """Until the input ends."""
    peer = Peer(int(sys.argv[1]))
    verbs = {"prepare": peer.prepare, "up": peer.up, "down": peer.down, "kept": peer.kept}
    try:
        for line in sys.stdin:
            verb, _, rest = line.strip().partition(" ")
            if verb == "quit":
                break
            try:
                answer = f"ok {verbs[verb](rest) or ''}"
            except Exception as error:
                answer = f"error {type(error).__name__}: {error}".replace("\n", "; ")
            print(answer, flush=True)
    finally:
        peer.down()


if __name__ == "__main__":
    main()
