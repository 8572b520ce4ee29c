"""Who waits for a port that one of ours is about to let go."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from e2e_api.conditions import Reason
from e2e_controller.drivers.base import Container, ContainerPhase, ContainerSpec, Key, PortSpec
from e2e_controller.objects import Object, ObjectStatus
from e2e_controller.reconcile.outcome import Failure
from e2e_controller.reconcile.ports import AwaitedPorts

OWN = Key("own", "Workload", "web")
TAKEN = Failure(Reason.PORT_TAKEN, "port 80 is taken", retry=True)


@pytest.mark.parametrize(
    ("holder", "told"),
    [
        (Key("own", "Workload", "db"), "waits for own/Workload/db to let go: port 80 is taken"),
        (Key("theirs", "Workload", "db"), "waits for another environment's workload to let go: port 80"),
    ],
)
def test_what_another_environment_has_is_not_named(holder: Key, told: str) -> None:
    container = Container(
        "id", holder, "hash", "x", ContainerPhase.RUNNING, datetime.now(UTC), host_ports={"8080/tcp": 80}
    )
    leaving = Object(holder, deleting=True, status=ObjectStatus(container=container))
    store: Any = SimpleNamespace(select=lambda: [leaving])
    spec = ContainerSpec(image="x", ports={"http": PortSpec(8080, host_port=80)})
    desired: Any = SimpleNamespace(spec=spec)
    failure = AwaitedPorts(store, retries=None).judge(Object(OWN), desired, TAKEN)  # type: ignore[arg-type]
    assert failure.reason == Reason.PENDING
    assert told in failure.message
