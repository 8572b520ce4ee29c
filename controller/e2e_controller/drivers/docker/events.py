"""What happens to our containers and networks, as the engine tells it."""

import asyncio
import json
import signal
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

from e2e_controller.drivers.base import NAME_IS_FREE, ContainerEvent, DriverError, Key
from e2e_controller.drivers.docker.containers import container_name, environment_of_network, key_of
from e2e_controller.drivers.docker.deaths import Deaths
from e2e_controller.drivers.docker.engine import Engine
from e2e_controller.drivers.docker.known import Known
from e2e_controller.drivers.docker.lines import documents

ENVIRONMENT_KIND = "Environment"

_CONTAINER_ACTIONS = (
    "create",
    "start",
    "die",
    "oom",
    "kill",
    "pause",
    "unpause",
    "destroy",
    "rename",
    "health_status",
)
_ALIASES = {"remove": "destroy"}
"""Podman's words."""
_NETWORK_ACTIONS = ("destroy", "disconnect")
_FILTERS = json.dumps(
    {"type": ["container", "network"], "event": sorted({*_CONTAINER_ACTIONS, *_NETWORK_ACTIONS, *_ALIASES})}
)
"""Not by label: the engine sees no labels on the events of a network, and would drop them all."""
_SIGKILL = str(int(signal.SIGKILL))
_FIRST_PAUSE, _LAST_PAUSE = 0.05, 5.0


class Events:
    """Follows the engine's events; comes back by itself after the engine was away."""

    def __init__(self, engine: Engine, known: Known, deaths: Deaths, controller_id: str) -> None:
        self._engine = engine
        self._known = known
        """Events of a network tell only the container's id."""
        self._deaths = deaths
        self._controller_id = controller_id

    async def follow(self) -> AsyncGenerator[ContainerEvent, None]:
        """Events for ever; one without a key each time that the stream begins, ends, or cannot be had."""
        pause, action = _FIRST_PAUSE, "connected"
        while True:
            try:
                async with aclosing(self._stream(action)) as stream:
                    async for event in stream:
                        pause, action = _FIRST_PAUSE, "reconnected"
                        yield event
            except DriverError:
                pass  # every call says so as well; here it is only a reason to try again
            yield ContainerEvent(None, "disconnected")
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LAST_PAUSE)

    async def _stream(self, action: str) -> AsyncGenerator[ContainerEvent, None]:
        async with self._engine.request("events", "GET", "/events", params={"filters": _FILTERS}) as response:
            self._known.events_missed()
            self._deaths.clear()
            yield ContainerEvent(None, action)
            async for document in documents(response, silence=None):
                if (event := self._translate(document)) is not None:
                    yield event

    def _translate(self, document: Mapping[str, Any]) -> ContainerEvent | None:
        actor = document.get("Actor") or {}
        action = str(document.get("Action", "")).partition(":")[0]
        action = _ALIASES.get(action, action)
        attributes = actor.get("Attributes") or {}
        if document.get("Type") == "network":
            return self._network_event(action, attributes)
        key = key_of(attributes, self._controller_id)
        if action not in _CONTAINER_ACTIONS:
            return None
        if key is None:
            return self._freed(action, attributes)
        if attributes.get("name", name := container_name(key)) != name:
            # Whoever looks by its name does not find it.
            stray = ContainerEvent(None, "stray") if action in ("create", "rename") else None
            return self._freed(action, attributes) or stray
        container_id = str(actor.get("ID", ""))
        match action:
            case "kill":
                if attributes.get("signal", _SIGKILL) == _SIGKILL:  # Podman does not say which
                    self._known.killed(container_id)
                return None  # no more than a wish; a look now would hang until all that follows is over
            case "start":
                self._deaths.forget(container_id)
            case "die":
                self._note_death(key, container_id, attributes, document)
            case "destroy":
                self._deaths.forget(container_id)
                self._known.forget(container_id)
        return ContainerEvent(key, action)

    def _freed(self, action: str, attributes: Mapping[str, str]) -> ContainerEvent | None:
        left = {"destroy": "name", "rename": "oldName"}.get(action, "")
        key = self._known.awaited_names.pop(attributes.get(left, "").lstrip("/"), None)
        return ContainerEvent(key, NAME_IS_FREE) if key else None

    def _note_death(
        self, key: Key, container_id: str, attributes: Mapping[str, str], document: Mapping[str, Any]
    ) -> None:
        try:
            exit_code = int(attributes["exitCode"])
            time = datetime.fromtimestamp(document["timeNano"] / 1e9, UTC)
        except (KeyError, TypeError, ValueError, OverflowError):
            return  # a look at it tells as much
        self._deaths.died(key, container_id, exit_code, time)

    def _network_event(self, action: str, attributes: Mapping[str, str]) -> ContainerEvent | None:
        name = attributes.get("name", "")
        environment = environment_of_network(name)
        if action in _NETWORK_ACTIONS and (awaiting := self._known.awaited_names.pop(name, None)):
            return ContainerEvent(awaiting, NAME_IS_FREE)
        if environment not in self._known.networks or action not in _NETWORK_ACTIONS:
            return None
        if action == "destroy":
            del self._known.networks[environment]
        key = self._known.key(attributes.get("container", ""))
        return ContainerEvent(key or Key(environment, ENVIRONMENT_KIND, environment), f"network_{action}")
