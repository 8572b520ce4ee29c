"""Why a process has no control group of its own."""

from collections.abc import Sequence

from e2e_api.errors import E2EError


class CgroupError(E2EError):
    """The control groups of this machine do not do what was asked."""

    _action = "fix-machine"


class NotPermitted(CgroupError):  # noqa: N818 - named like the errors beside it
    """This user may not do it yet; `commands`, run once in a shell, allow it."""

    def __init__(self, message: str, commands: Sequence[str]) -> None:
        super().__init__("\n  ".join([message, *commands]))
        self.commands = tuple(commands)
