"""The life of one container, from its creation to its removal."""

import asyncio
import math
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any, TypeVar

from docker import APIClient
from docker.errors import NotFound

from e2e_controller.drivers.base import (
    ContainerNotRunning,
    ContainerSpec,
    Copied,
    DriverError,
    FileContent,
    Key,
    NameTaken,
    PortTaken,
    SpecRefused,
)
from e2e_controller.drivers.docker import containers
from e2e_controller.drivers.docker.deaths import Deaths
from e2e_controller.drivers.docker.departures import Departures
from e2e_controller.drivers.docker.engine import Engine
from e2e_controller.drivers.docker.failures import EngineRefusal, may_lock_up
from e2e_controller.drivers.docker.images import Images
from e2e_controller.drivers.docker.known import Known
from e2e_controller.drivers.docker.looks import Looks, name_taken
from e2e_controller.drivers.docker.networks import Networks
from e2e_controller.drivers.docker.owners import names_somebody, owner_of, text_in
from e2e_controller.drivers.docker.ports import PORT_REMEDY, PortChooser, no_container_has
from e2e_controller.drivers.inventory import Owner

T = TypeVar("T")

_PORT_IN_MESSAGE = re.compile(r"(?:\d+(?:\.\d+){3}|\[[\da-f:]*\]):(\d+)")
_AT_ROOT = {"path": "/", "noOverwriteDirNonDir": "1"}
"""How files are put in; docker-py cannot ask for the second, and a file would replace an image's folder."""
_FIRST_PAUSE, _LAST_PAUSE = 0.01, 0.2


class Lifecycle:
    """Creates, starts, stops and removes containers."""

    def __init__(
        self,
        engine: Engine,
        images: Images,
        networks: Networks,
        looks: Looks,
        known: Known,
        deaths: Deaths,
        owner: Owner,
        ports: PortChooser,
        *,
        discreet: bool = False,
    ) -> None:
        """`discreet`: messages about one environment name nothing of another's."""
        self._engine = engine
        self._images = images
        self._networks = networks
        self._looks = looks
        self._known = known
        self._deaths = deaths
        self._owner = owner
        self._controller_id = owner.controller_id
        self._ports = ports
        self._discreet = discreet
        self._departures = Departures()

    async def create(
        self, key: Key, spec: ContainerSpec, spec_hash: str, copied: Copied | None = None
    ) -> str:
        """Creates the container with its files; all of it or nothing."""
        await self._engine.connect()  # its kind decides on ports
        spec = await self._with_entrypoint(key, spec)
        ports, chosen = self._ports.assign(spec.ports, self._known.ports, spec.kept_ports)
        address = self._engine.publish_address
        body = containers.creation_body(key, spec, spec_hash, self._owner, ports, chosen, address)
        name = containers.container_name(key)
        try:
            container_id = await self._engine.call(
                "create",
                lambda client: _create(client, body, name),
                f"create {key}",
                environment=key.environment,
            )
        except NameTaken as error:
            raise await self._taken_by(key, error) from error
        self._known.learn(container_id, key, ports.values())
        if spec.files:
            began = time.monotonic()
            try:
                await self.put_files(container_id, spec.files)
            except DriverError:
                with suppress(DriverError):  # what is left is known to be half made
                    await self.remove(container_id)
                raise
            if copied is not None:
                copied(time.monotonic() - began)
        self._known.finish(container_id)
        return container_id

    async def put_files(self, container_id: str, files: Sequence[FileContent]) -> None:
        """Writes files into it, running or not."""
        owner = await self._file_owner(container_id) if containers.is_private(files) else (0, 0)
        archive = containers.files_archive(files, owner, time.time())

        def put(client: APIClient) -> None:
            url = f"{client.base_url}/v{client.api_version}/containers/{container_id}/archive"
            answer = client.put(url, params=_AT_ROOT, data=archive, timeout=client.timeout)
            if answer.status_code >= 400:
                raise EngineRefusal.from_answer(answer.status_code, answer.content)

        await self._call("put files", container_id, put, "put files into")

    async def start(self, container_id: str) -> None:
        """Starts, or starts again."""
        self._known.started(container_id)
        self._deaths.forget(container_id)
        try:
            await self._start(container_id)
        except NameTaken:  # by a second network
            await self._networks.keep_one(self._environment(container_id))
            await self._start(container_id)

    async def _start(self, container_id: str) -> None:
        try:
            await self._call("start", container_id, lambda client: client.start(container_id))
        except PortTaken as error:
            raise await self._port_taken(container_id, error) from error

    async def stop(self, container_id: str, grace: float) -> None:
        """Asks it to end, kills it after the grace period."""
        seconds = math.ceil(grace)
        self._known.killed(container_id)
        try:
            await self._stop(container_id, seconds)
        except ContainerNotRunning:  # Podman does not stop what is paused
            await self.unpause(container_id)
            await self._stop(container_id, seconds)

    async def _stop(self, container_id: str, seconds: int) -> None:
        async with self._engine.request(
            "stop",
            "POST",
            f"/containers/{container_id}/stop",
            params={"t": seconds},
            within=seconds + self._engine.call_timeout,
            what=f"stop {self._known.text(container_id)}",
        ):
            pass

    async def kill(self, container_id: str, signal: str) -> None:
        """Sends a signal."""
        if signal == "SIGKILL":
            self._known.killed(container_id)
        async with self._leaving(container_id):
            with suppress(ContainerNotRunning):
                send = f"send {signal} to"
                await self._call("kill", container_id, lambda client: client.kill(container_id, signal), send)

    async def pause(self, container_id: str) -> None:
        """Freezes it."""
        try:
            await self._call("pause", container_id, lambda client: client.pause(container_id))
        except ContainerNotRunning as error:
            if "already paused" not in str(error):
                raise

    async def unpause(self, container_id: str) -> None:
        """Thaws it."""
        with suppress(ContainerNotRunning):
            await self._call("unpause", container_id, lambda client: client.unpause(container_id))

    async def remove(self, container_id: str) -> None:
        """Removes it, and returns when its name is free."""
        what = f"remove {self._known.text(container_id)}"

        def remove(client: APIClient) -> None:
            with suppress(NotFound):
                client.remove_container(container_id, v=True, force=True)

        try:
            async with self._leaving(container_id):
                await self._call("remove", container_id, remove)
        except DriverError as error:
            if "already in progress" not in str(error):
                raise
            await self._wait_until_gone(container_id, what)
        self._known.forget(container_id)
        self._deaths.forget(container_id)
        await self._engine.reach((), self._known.ports)

    async def _file_owner(self, container_id: str) -> tuple[int, int]:
        user = await self._looks.look(container_id, _user, self._environment(container_id)) or ""
        if not names_somebody(user):
            return owner_of(user)

        def read(client: APIClient) -> tuple[int, int]:
            return owner_of(
                user, *(text_in(client, container_id, path) for path in ("/etc/passwd", "/etc/group"))
            )

        return await self._call("copy out", container_id, read, "look for the user of")

    @asynccontextmanager
    async def _leaving(self, container_id: str) -> AsyncIterator[None]:
        key = self._known.key(container_id)
        if key is None or not may_lock_up(self._engine.version):
            yield
        else:
            async with self._departures.turn(key.environment):
                yield

    async def _call(
        self, name: str, container_id: str, function: Callable[[APIClient], T], what: str = ""
    ) -> T:
        """A call about one container, in the turn of its environment."""
        what = f"{what or name} {self._known.text(container_id)}"
        environment = self._environment(container_id)
        return await self._engine.call(name, function, what, environment=environment)

    async def _with_entrypoint(self, key: Key, spec: ContainerSpec) -> ContainerSpec:
        """Spells out the image's entrypoint where the command is empty: the engine takes its command else."""
        if spec.command != ():
            return spec
        entrypoint = spec.entrypoint
        if entrypoint is None:
            entrypoint = await self._images.entrypoint(spec.image, key.environment)
        if not entrypoint:
            raise SpecRefused("there is nothing to run: no entrypoint, and an empty command")
        return replace(spec, entrypoint=entrypoint)

    async def _taken_by(self, key: Key, error: NameTaken) -> NameTaken:
        name = containers.container_name(key)
        return await self._looks.look(name, lambda found: name_taken(key, found), key.environment) or error

    async def _port_taken(self, container_id: str, error: PortTaken) -> PortTaken:
        """Finds out whose choice the port was."""
        environment = self._environment(container_id)
        ports = await self._looks.look(container_id, containers.chosen_ports, environment) or frozenset()
        number = _PORT_IN_MESSAGE.search(str(error))
        chosen = int(number[1]) in ports if number else bool(ports)
        if chosen or not number:
            return PortTaken(str(error), chosen=chosen, remedy="" if chosen else PORT_REMEDY)
        holder = await self._holder(container_id, int(number[1]), str(error))
        return PortTaken(f"{error}; {holder}" if holder else str(error), remedy=PORT_REMEDY)

    async def _holder(self, container_id: str, port: int, text: str) -> str:
        """Who has the port, in words, as far as the engine knows."""
        try:
            listed = await self._call("list", container_id, lambda client: client.containers(), "look for")
        except DriverError:
            return ""
        only = self._environment(container_id) if self._discreet else None
        if holder := containers.holder_of_port(listed, port, self._controller_id, only):
            return holder
        if rival := self._known.rival(container_id, port):
            told = rival if only in (None, rival.environment) else "another environment's workload"
            return f"{told} asks for port {port}, too"  # and is being started just now
        return no_container_has(port) if "address already in use" in text else ""

    async def _wait_until_gone(self, container_id: str, what: str) -> None:
        """Somebody else is removing it already."""
        pause, environment = _FIRST_PAUSE, self._environment(container_id)
        try:
            async with asyncio.timeout(self._engine.call_timeout):
                while await self._looks.look(container_id, lambda _found: True, environment):
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, _LAST_PAUSE)
        except TimeoutError as error:
            seconds = self._engine.call_timeout
            raise DriverError(f"{what}: its removal has not ended within {seconds:g} s") from error

    def _environment(self, container_id: str) -> str:
        return self._known.environment(container_id)


def _create(client: APIClient, body: Mapping[str, Any], name: str) -> str:
    made = client.create_container_from_config(body, name)  # type: ignore[no-untyped-call]
    return str(made["Id"])


def _user(found: Mapping[str, Any]) -> str:
    return str(found["Config"]["User"])
