"""An environment's named volumes."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

from docker import APIClient
from docker.errors import NotFound

from e2e_api.conditions import Reason
from e2e_controller.drivers.base import (
    LABEL_CONTROLLER,
    LABEL_ENVIRONMENT,
    LABEL_NAME,
    Mount,
    NameTaken,
    SpecRefused,
)
from e2e_controller.drivers.docker.containers import owner_text, volume_name
from e2e_controller.drivers.docker.endpoint import Endpoint
from e2e_controller.drivers.docker.engine import Engine
from e2e_controller.drivers.inventory import Owner


class Volumes:
    """Makes and removes named volumes."""

    def __init__(self, engine: Engine, owner: Owner) -> None:
        self._engine = engine
        self._owner = owner
        self._controller_id = owner.controller_id

    async def environments(self) -> set[str]:
        """Environments that have a volume of ours."""
        ours = {"label": f"{LABEL_CONTROLLER}={self._controller_id}"}

        def look(client: APIClient) -> set[str]:
            found = client.volumes(filters=ours)["Volumes"] or []
            return {(volume["Labels"] or {}).get(LABEL_ENVIRONMENT, "") for volume in found} - {""}

        return await self._engine.call("list volumes", look)

    async def ensure(self, environment: str, mounts: Iterable[Mount]) -> None:
        """Makes the named volumes that are not there yet. Raises `NameTaken`."""
        for name in dict.fromkeys(mount.source for mount in mounts if not mount.is_host_path):
            await self._ensure(environment, name)

    async def remove(self, environment: str) -> None:
        """Removes the environment's volumes that are ours."""
        ours = [f"{LABEL_CONTROLLER}={self._controller_id}", f"{LABEL_ENVIRONMENT}={environment}"]

        def look(client: APIClient) -> list[str]:
            found = client.volumes(filters={"label": ours})["Volumes"] or []
            return [str(volume["Name"]) for volume in found]

        for name in await self._engine.call("list volumes", look, environment=environment):
            what = f"remove volume {name}"
            await self._engine.call("remove volume", _remover(name), what, environment=environment)

    async def _ensure(self, environment: str, name: str) -> None:
        full = volume_name(environment, name)
        labels = {**self._owner.labels, LABEL_ENVIRONMENT: environment, LABEL_NAME: name}
        found: Mapping[str, str] = await self._engine.call(
            "create volume",
            lambda client: client.create_volume(full, labels=labels)["Labels"] or {},
            f"create volume {full}",
            environment=environment,
        )
        if found.get(LABEL_CONTROLLER) != self._controller_id:
            raise NameTaken(
                f"the volume {full} belongs to {owner_text(found)}",
                remedy="remove it, or rename the volume",
            )


def _remover(name: str) -> Callable[[APIClient], None]:
    def remove(client: APIClient) -> None:
        with suppress(NotFound):
            client.remove_volume(name)

    return remove


def refuse_host_paths(mounts: Iterable[Mount], endpoint: Endpoint) -> None:
    """Raises `SpecRefused` where a mount is of this machine's files, and the engine is on another one."""
    for mount in mounts:
        if mount.is_host_path:
            raise SpecRefused(
                f"the host path {mount.source} cannot be mounted at {mount.target}: the engine at {endpoint} "
                "is on another machine",
                reason=Reason.MOUNT_FAILED,
                remedy="give the content in `files`, copy it in (`copy_in`), or use a named volume",
            )
