"""Who calls, and how far the caller's token reaches."""

from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field

from e2e_api.errors import PermissionDenied


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who was let in."""

    name: str
    """For logs and limits: a token's name."""
    prefixes: tuple[str, ...] | None = None
    """What the names of its environments begin with; None: all environments are."""
    read_only: bool = False
    digest: bytes = field(default=b"", repr=False)
    """Of the token that was shown: another token of the same name is another caller."""

    def sees(self, environment: str) -> bool:
        """Whether the environment is one of the caller's."""
        return self.prefixes is None or environment.startswith(self.prefixes)

    def check(self, environments: Iterable[str]) -> None:
        """Raises `PermissionDenied` where one is not the caller's, whether it exists or not."""
        for environment in environments:
            if not self.sees(environment):
                raise PermissionDenied(
                    f"token {self.name} does not reach environment {environment[:80]!r}: it is for "
                    f"{self._reach}",
                    reason="OutOfScope",
                )

    def check_everything(self, what: str) -> None:
        """Raises `PermissionDenied` where not all environments are the caller's."""
        if self.prefixes is not None:
            raise PermissionDenied(
                f"{what} is of all environments, and token {self.name} is for {self._reach} only",
                reason="OutOfScope",
            )

    def check_writes(self) -> None:
        """Raises `PermissionDenied` where the caller may only look."""
        if self.read_only:
            raise PermissionDenied(f"token {self.name} may only read", reason="ReadOnly")

    @property
    def _reach(self) -> str:
        return " and ".join(f"{prefix}*" for prefix in self.prefixes or ())


OWNER = Caller("owner")
"""Who may open the Unix socket: the user whose controller this is."""
ANYBODY = Caller("anybody")
"""Who comes over TCP where no token is asked for."""

_current: ContextVar[Caller] = ContextVar("caller", default=OWNER)


def current_caller() -> Caller:
    """Who made the call that this task answers."""
    return _current.get()


def set_caller(caller: Caller) -> None:
    """Says who made the call that this task answers."""
    _current.set(caller)
