"""The environments' shared directories: whether workloads can have them, and who else sees them."""

from e2e_controller.directories import Directories
from e2e_controller.drivers.base import EngineInfo, Guest

_AT_SAME_PATH = (
    "give the controller a folder that has the same path there as on the host: "
    "`docker run -v /srv/e2e:/srv/e2e -e E2E_STATE_DIR=/srv/e2e ...`"
)


class SharedFolders:
    """They have the same path in each container that they have here."""

    def __init__(self, directories: Directories, info: EngineInfo) -> None:
        self._directories = directories
        self._own = info.own
        self._state = str(directories.state)
        self._on_host: str | None = self._state if info.local_files else None
        if info.local_files and info.own is not None:
            self._on_host = info.own.host_path(self._state)

    @property
    def available(self) -> bool:
        """Whether the engine can mount them."""
        return self._on_host is not None

    def seen_by(self, caller: Guest | None, environment: str) -> tuple[str, str]:
        """(path, problem): where a caller in that container, or on the host, finds one, or why it does not.

        Only one of both is given.
        """
        if self._on_host is None:
            return "", self._nowhere()
        there: str | None = self._on_host
        if caller is not None:
            there = caller.path_inside(self._on_host)
        if there != self._state:
            return "", self._elsewhere(caller, there)
        return str(self._directories.shared(environment)), ""

    def _nowhere(self) -> str:
        if self._own is None:
            return (
                "there are no shared directories: the engine is on another machine; "
                "give workloads what they need in `files`, or copy it in"
            )
        return (
            f"there are no shared directories: the state folder {self._state} is in the controller's "
            f"container alone; {_AT_SAME_PATH}"
        )

    def _elsewhere(self, caller: Guest | None, there: str | None) -> str:
        mount = self._own.mount_at(self._state) if self._own else None
        if caller is None:
            return (
                f"the shared directories are at {self._state} in containers and at {there} on this host, and "
                f"have to be at the same path; {_AT_SAME_PATH}"
            )
        source = mount.volume or mount.source if mount else self._state
        target = mount.target if mount else self._state
        found = f"has it at {there}" if there else "does not have it"
        return (
            f"the shared directories are below {self._state}, and this container {caller.name} {found}; "
            f"mount it there at the same path: `docker run -v {source}:{target} ...`"
        )
