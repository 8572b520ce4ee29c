"""Host ports that one of ours wants and another of ours has."""

from collections.abc import Iterable

from e2e_api.conditions import Reason
from e2e_controller.drivers.base import Container, ContainerPhase, Key
from e2e_controller.objects import Object
from e2e_controller.reconcile.desired import Desired
from e2e_controller.reconcile.outcome import Failure
from e2e_controller.reconcile.retries import Retries
from e2e_controller.reconcile.steps import Kill, Remove, Step, Stop
from e2e_controller.store import Store


class AwaitedPorts:
    """Who could not be made because a host port was taken, and is tried again once it is free."""

    def __init__(self, store: Store, retries: Retries) -> None:
        self._store = store
        self._retries = retries
        self._wanted: dict[Key, set[tuple[int, str]]] = {}

    def judge(self, object_: Object, desired: Desired | None, failure: Failure) -> Failure:
        """The failure; one that passes where one of ours is about to let go of the port."""
        if failure.reason != Reason.PORT_TAKEN or desired is None:
            return failure
        wanted: set[tuple[int, str]] = {
            (port.host_port, port.protocol) for port in desired.spec.ports.values() if port.host_port
        }
        self._wanted[object_.key] = wanted
        others = (other for other in self._store.select() if other.key != object_.key and _lets_go(other))
        holder = next((other for other in others if wanted & _held(other.status.container)), None)
        if holder is None:
            return failure
        own = holder.key.environment == object_.key.environment
        told = holder.key if own else "another environment's workload"  # not everybody's business
        return Failure(Reason.PENDING, f"waits for {told} to let go: {failure.message}", retry=True)

    def released(self, container: Container | None, done: Iterable[Step]) -> None:
        """Those steps were done to the container; who waited for a port of it need not wait any longer."""
        if not any(isinstance(step, Stop | Kill | Remove) for step in done):
            return
        held = _held(container)
        for key in [key for key, wanted in self._wanted.items() if wanted & held]:
            del self._wanted[key]
            self._retries.release(key)


def _lets_go(other: Object) -> bool:
    return other.deleting or not other.settled or other.state in ("Stopped", "Killed")


def _held(container: Container | None) -> set[tuple[int, str]]:
    if container is None or container.phase is ContainerPhase.EXITED:
        return set()
    return {(held, name.rpartition("/")[2]) for name, held in container.host_ports.items()}
