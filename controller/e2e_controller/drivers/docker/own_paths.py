"""Paths of this process and of the engine's host, where this process runs in a container."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from e2e_api.conditions import Reason
from e2e_controller.drivers.base import BuildSpec, DriverError, Guest, Mount, SpecRefused


class OwnPaths:
    """Tells one as the other, by the mounts of the container. Outside of one both are the same."""

    def __init__(self) -> None:
        self.own: Guest | None = None

    def on_host(self, path: str) -> str:
        """Where the engine finds what is at that path here. Raises `DriverError`."""
        if self.own is None:
            return path
        if (found := self.own.host_path(path)) is None:
            raise DriverError(
                f"{path} is in the controller's own container {self.own.name} only, so the engine cannot "
                "mount it into others",
                remedy=f"mount a folder of the host there: `docker run -v {path}:{path} ...`",
                reason=Reason.MOUNT_FAILED,
                retry=False,
            )
        return found

    def mounts(self, mounts: Iterable[Mount]) -> tuple[Mount, ...]:
        """With host paths only. Raises `SpecRefused`."""
        try:
            return tuple(
                replace(mount, source=self.on_host(mount.source)) if mount.is_own_path else mount
                for mount in mounts
            )
        except DriverError as error:
            raise SpecRefused(str(error), reason=error.reason) from error

    def context(self, build: BuildSpec) -> BuildSpec:
        """As this process finds it: a context may be given by its path on the host."""
        if self.own is None or Path(build.context).exists():
            return build
        return replace(build, context=self.own.path_inside(build.context) or build.context)

    def missing(self, path: str) -> str:
        """What helps where there is nothing at a path; "" outside of containers."""
        if self.own is None or Path(path).exists():
            return ""
        return f"; the controller runs in container {self.own.name}: mount {path} there, at the same path"
