"""The guard before the engine: what a driver is asked to pull, build, create or start is judged once more.

Manifests are judged when they come in. What they name on the host may have changed since: a folder may have
become a link. So the paths are looked at again here, right before the engine uses them, and the engine is
given them without links.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, cast

from e2e_api.conditions import Reason
from e2e_controller.drivers.base import (
    BuildSpec,
    ContainerSpec,
    Copied,
    Driver,
    Key,
    Mount,
    PullProgress,
    SpecRefused,
)
from e2e_controller.policy.made import wanted_of_made
from e2e_controller.policy.rules import Denial, Judge
from e2e_controller.policy.wanted import Wanted, WantedBuild, wanted_of_spec


def guarded(driver: Driver, judge: Judge, *, may_change: bool = False) -> Driver:
    """The driver, which refuses what the policy denies; `may_change`: there may be another one later."""
    if judge.allows_all and not may_change:
        return driver
    return cast("Driver", GuardedDriver(driver, judge))


class GuardedDriver:
    """A driver whose calls that make something are judged; all others go through."""

    def __init__(self, driver: Driver, judge: Judge) -> None:
        self._driver = driver
        self._judge = judge

    def __getattr__(self, name: str) -> Any:
        return getattr(self._driver, name)

    async def pull(self, reference: str, progress: PullProgress) -> None:
        """Pulls an image that may be run."""
        self._refuse(self._judge.judge(Wanted("", image=reference, is_container=False)))
        await self._driver.pull(reference, progress)

    async def build(self, spec: BuildSpec, progress: PullProgress) -> None:
        """Builds of a folder that may be built of."""
        build = WantedBuild(spec.context, spec.dockerfile, watched=True)
        self._refuse(self._judge.judge(Wanted("", build=build, is_container=False)))
        await self._driver.build(spec, progress)

    async def create(
        self, key: Key, spec: ContainerSpec, spec_hash: str, copied: Copied | None = None
    ) -> str:
        """Creates a container that may be run, with the paths that its mounts lead to now."""
        wanted = wanted_of_spec(key.environment, spec)
        self._refuse(self._judge.judge(wanted))
        if self._judge.any_host_path:
            return await self._driver.create(key, spec, spec_hash, copied)
        spec = replace(spec, mounts=tuple(map(self._without_links, spec.mounts)))
        # Once more: a link may have come where none was.
        self._refuse(self._judge.judge(wanted_of_spec(key.environment, spec)))
        return await self._driver.create(key, spec, spec_hash, copied)

    async def start_container(self, container_id: str) -> None:
        """Starts a container that is as the policy allows, by the engine's own word.

        The engine follows links in its mounts each time that it starts it: there must be none.
        """
        if not self._judge.allows_all:
            made = wanted_of_made(await self._driver.describe(container_id))
            self._refuse([*self._judge.judge(made), *self._moved(made)])
        await self._driver.start_container(container_id)

    def _without_links(self, mount: Mount) -> Mount:
        if not mount.is_host_path:
            return mount
        found = self._judge.paths.look(mount.source, own=mount.is_own_path)
        return replace(mount, source=found.path, is_own_path=False)

    def _moved(self, made: Wanted) -> Iterator[Denial]:
        shared = self._judge.paths.shared(made.environment)
        for mount in made.mounts if not self._judge.any_host_path else ():
            found = self._judge.paths.look(mount.path)
            if found.path not in (mount.path, shared):
                message = f"{mount.path} leads to {found.path} by now; delete it, and apply it again"
                yield Denial("hostPaths", mount.field, message)

    @staticmethod
    def _refuse(denials: Iterable[Denial]) -> None:
        if told := [str(denial) for denial in denials]:
            raise SpecRefused("; ".join(told), reason=Reason.POLICY_DENIED)
