"""Somebody else kills and removes containers and networks, by the engine's own means."""

from collections.abc import Callable
from random import Random

import pytest

from .engine import (
    IMAGE,
    TIMEOUT,
    UNTIL_STOPPED,
    Controller,
    Engine,
    chances,
    quietly,
    running,
    soak,
    until,
    workload,
)

Record = Callable[[str, object], None]
NUMBER = 6

pytestmark = pytest.mark.timeout(TIMEOUT)


def strike(engine: Engine, owner: str, dice: Random) -> str:
    """One misdeed; what it was."""
    api = engine.client.api
    containers = list(engine.containers(owner).values())
    if not containers:
        return "nothing, as none is there"
    target = dice.choice(containers)["Id"]
    match dice.choice(["kill", "remove", "stop", "pause", "rename", "copy", "disconnect", "remove network"]):
        case "kill":
            quietly(api.kill, target)
            return "kill"
        case "remove":
            quietly(api.remove_container, target, force=True)
            return "remove"
        case "stop":
            quietly(api.stop, target, timeout=1)
            return "stop"
        case "pause":
            quietly(api.pause, target)
            return "pause"
        case "rename":
            quietly(api.rename, target, f"{owner}-{dice.random()}")
            return "rename"
        case "copy":
            labels = dice.choice(containers)["Labels"]
            quietly(lambda: api.start(api.create_container(IMAGE, UNTIL_STOPPED, labels=labels)))
            return "copy"
        case "disconnect":
            for network in engine.networks(owner):
                quietly(api.disconnect_container_from_network, target, network, force=True)
            return "disconnect"
        case _:
            for network in engine.networks(owner):
                for container in containers:
                    quietly(api.disconnect_container_from_network, container["Id"], network, force=True)
                quietly(api.remove_network, network)
            return "remove network"


def is_whole(controller: Controller, engine: Engine, owner: str) -> bool:
    """As the manifests ask: running, in the one network, and told so."""
    networks = engine.networks(owner)
    attached = [
        list(found["NetworkSettings"]["Networks"]) == networks for found in engine.containers(owner).values()
    ]
    return (
        len(networks) == 1
        and attached == [True] * NUMBER
        and running(engine, owner) == NUMBER
        and controller.is_true("Ready", NUMBER)
    )


def test_what_others_do_is_made_good(controller: Controller, engine: Engine, record_property: Record) -> None:
    dice, owner = chances(record_property), controller.identity
    documents = [workload(f"w{n}", controller.environment, restartPolicy="Always") for n in range(NUMBER)]
    controller.write("all.json", *documents)
    until(lambda: is_whole(controller, engine, owner), "all run", controller.log)
    strikes = soak("STRIKES", 12)
    done = [strike(engine, owner, dice) for _ in range(strikes)]
    until(lambda: is_whole(controller, engine, owner), f"made good after {done}", controller.log)
    record_property(
        "faults", f"{strikes} misdeeds behind the controller's back: {', '.join(sorted(set(done)))}"
    )
