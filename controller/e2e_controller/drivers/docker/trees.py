"""Removal of directories in which containers left files that this user may not remove."""

import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from docker import APIClient
from docker.errors import APIError, NotFound

from e2e_controller.drivers.base import LABEL_KIND, DriverError
from e2e_controller.drivers.docker.engine import Engine
from e2e_controller.drivers.docker.own_paths import OwnPaths
from e2e_controller.drivers.inventory import Owner
from e2e_controller.drivers.labels import environment_of_tag

REMOVAL = "Removal"
"""The kind of the containers that do it."""

_LIKELY = ("busybox", "alpine", "debian", "ubuntu", "python")
_TRIES = 5
_PAUSE = 0.02
_INSIDE = "/e2e-remove"


class Trees:
    """Removes directories below the state folder."""

    def __init__(self, engine: Engine, owner: Owner, state_dir: Path, paths: OwnPaths | None = None) -> None:
        self._engine = engine
        self._owner = owner
        self._state_dir = state_dir
        self._paths = paths or OwnPaths()

    async def remove(self, path: str) -> None:
        """Removes a directory. Raises `DriverError` for one that is not below the state folder."""
        tree = Path(path)
        root = self._state_dir.resolve()
        tree = tree.parent.resolve() / tree.name
        if not tree.is_relative_to(root) or tree == root or tree.name in ("", "..", "."):
            raise DriverError(f"{path} is not below {root}, so it is not removed", retry=False)
        if tree.is_symlink():
            raise DriverError(f"{path} is a link, so it is not removed", retry=False)
        try:
            await self._engine.in_thread(lambda: _remove(tree))
        except PermissionError:
            await self.remove_as_root(tree)
        except OSError as error:
            message = f"cannot remove {error.filename or tree}: {error.strerror or error}"
            remedy = f"`sudo rm -rf {tree}` if that does not pass"
            raise DriverError(message, reason="DirectoryFailed", remedy=remedy) from error

    async def remove_as_root(self, tree: Path) -> None:
        """Lets a container of root's do it, of any image at hand that has `rm`. It sees nothing else."""
        if not self._engine.endpoint.is_local:  # the same path there is another directory
            raise DriverError(
                f"{tree} has files that this user may not remove", remedy=f"`sudo rm -rf {tree}`"
            )
        images = await self._engine.call("list images", lambda client: client.images())
        for image in likely_images(images)[:_TRIES]:
            await self._engine.call("remove tree", self._remover(image, tree), f"remove {tree}")
            if await self._engine.in_thread(lambda: _is_gone(tree)):
                return
        raise DriverError(
            f"{tree} has files that this user may not remove, and no image here could do it",
            remedy=f"`docker pull busybox`, or `sudo rm -rf {tree}`",
        )

    def _remover(self, image: str, tree: Path) -> Callable[[APIClient], None]:
        # Whatever the image is, it cannot do more than it is asked to; the mounted folder itself stays.
        mount = {"Type": "bind", "Source": self._paths.on_host(str(tree)), "Target": _INSIDE}
        body = {
            "Image": image,
            "Entrypoint": ["rm"],
            "Cmd": ["-rf", "--", _INSIDE],
            "User": "0:0",
            "Labels": {**self._owner.labels, LABEL_KIND: REMOVAL},
            "HostConfig": {
                "NetworkMode": "none",
                "AutoRemove": True,
                "Mounts": [mount],
                "ReadonlyRootfs": True,
                "CapDrop": ["ALL"],
                "CapAdd": ["DAC_OVERRIDE", "FOWNER"],
                "SecurityOpt": ["no-new-privileges"],
            },
        }

        def remove(client: APIClient) -> None:
            made = client.create_container_from_config(body)  # type: ignore[no-untyped-call]
            try:
                client.start(made["Id"])
                # Not until it is removed: an engine that removes it first never answers that. And docker-py
                # waits for ever where it is given no limit.
                client.wait(made["Id"], timeout=client.timeout)
                _wait_until_gone(client, made["Id"])
            except NotFound:
                return  # it was faster than we
            except APIError:
                client.remove_container(made["Id"], force=True)

        return remove


def _wait_until_gone(client: APIClient, container_id: str) -> None:
    """Raises `NotFound` as soon as the engine has removed it by itself; after the time limit gives up."""
    deadline = time.monotonic() + client.timeout
    while time.monotonic() < deadline:
        client.inspect_container(container_id)
        time.sleep(_PAUSE)


def _remove(tree: Path) -> None:
    try:
        shutil.rmtree(tree)
    except FileNotFoundError:
        if tree.exists():  # something in it went at the same time
            shutil.rmtree(tree)


def _is_gone(tree: Path) -> bool:
    """Whether nothing is left of it, once its content is gone."""
    with suppress(OSError):
        tree.rmdir()
    return not tree.exists()


def likely_images(images: Iterable[Mapping[str, Any]]) -> list[str]:
    """Ids of images, those first that are known to have `rm`, then the small ones; none that we built."""

    def rank(image: Mapping[str, Any]) -> tuple[bool, int]:
        names = (tag.removeprefix("docker.io/").removeprefix("library/") for tag in _tags(image))
        return not any(name.partition(":")[0] in _LIKELY for name in names), int(image["Size"])

    others = (image for image in images if not any(map(environment_of_tag, _tags(image))))
    return [str(image["Id"]) for image in sorted(others, key=rank)]


def _tags(image: Mapping[str, Any]) -> Iterable[str]:
    return image.get("RepoTags") or ()
