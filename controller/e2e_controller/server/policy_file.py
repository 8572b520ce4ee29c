"""A policy that stands in a file: read again when that changes, as certificates and tokens are."""

from collections.abc import Callable, Sequence
from pathlib import Path

from e2e_api.conditions import ConditionType, Reason
from e2e_controller.drivers.base import Key
from e2e_controller.events import EventLog
from e2e_controller.policy import Judge, load_policy
from e2e_controller.server.renewal import Renewal, RenewalError, Stamp
from e2e_controller.store import Store

KIND = "Policy"
"""Of the key that events about the file have, which are of no environment."""


class PolicyFile:
    """Tells the judge what the file says by now."""

    is_secret = False

    def __init__(self, path: Path, judge: Judge, stamp: Stamp) -> None:
        """`stamp` is that of the file as the judge's policy was read from it, or older."""
        self._path = path.absolute()  # so that it is not taken for the name of a policy
        self._judge = judge
        self._read = self._seen = stamp
        self._refused: tuple[Stamp, str] | None = None

    @property
    def files(self) -> Sequence[Path]:
        """The one."""
        return (self._path,)

    def renew(self) -> bool:
        """Reads the file where it has changed, and no longer changes: half a list may be a valid one.

        Whether it had. Raises `RenewalError`.
        """
        stamp = Stamp.of(self.files)
        settled, self._seen = stamp == self._seen, stamp
        if stamp == self._read or not settled:
            return False
        if self._refused is None or self._refused[0] != stamp:
            try:
                policy = load_policy(str(self._path))
            except ValueError as error:
                self._refused = stamp, str(error)
            else:
                if Stamp.of(self.files) != stamp:
                    return False
                self._read, self._refused = stamp, None
                self._judge.adopt(policy)
                return True
        raise RenewalError(self._refused[1])

    async def follow(
        self,
        store: Store,
        retry_now: Callable[[Key], None],
        events: EventLog,
        renewed: Callable[[bool], None],
    ) -> None:
        """Goes on until it is cancelled; what was denied has its chance with each new policy."""

        def judge_anew() -> None:
            store.judge_anew()
            for object_ in store.select():
                failed = object_.status.condition(ConditionType.FAILED)
                if failed is not None and failed.reason == Reason.POLICY_DENIED:
                    retry_now(object_.key)

        def tell(success: bool) -> None:
            renewed(success)
            key = Key("", KIND, str(self._path))
            if success:
                events.record(key, "PolicyChanged", "was read, and is in force for what comes from now on")
            elif self._refused is not None:
                message = f"the policy before stays in force: {self._refused[1]}"
                events.record(key, "PolicyRefused", message, warning=True)

        await Renewal([self], judge_anew, tell).run()
