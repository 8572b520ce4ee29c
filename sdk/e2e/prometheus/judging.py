"""Which results of a query are as expected, and what a wait in vain tells. Pure."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from e2e.matchers import Expectation
from e2e.prometheus.results import Matrix, QueryResult, Text, Vector
from e2e_api.errors import E2EError, InvalidArgument, WaitFailed

ResultJudge = Callable[[QueryResult], bool]
"""What decides over a whole result."""
_HISTORY = 5


def is_as_expected(expectation: Expectation | ResultJudge, result: QueryResult) -> bool:
    """Whether a result is as expected: each of its values, for an expectation; of nothing, nothing is.

    Raises InvalidArgument for a result that an expectation cannot judge.
    """
    if not isinstance(expectation, Expectation):
        return bool(expectation(result))
    if isinstance(result, Matrix | Text):
        kind = "values over time" if isinstance(result, Matrix) else "a text"
        raise InvalidArgument(f"{expectation} judges one value for each series, and the query gives {kind}")
    values = result.values
    if expectation.kind.sums > 1 and len(values) != expectation.kind.sums:
        return False
    return bool(values) and expectation(*values)


@dataclass(slots=True)
class Asked:
    """What a wait has been answered so far."""

    promql: str
    seconds: float
    """That it may take."""
    started: float = field(default_factory=time.monotonic)
    times: int = 0
    trouble: str = ""
    """Why there was no answer at last."""
    history: deque[tuple[float, QueryResult]] = field(default_factory=lambda: deque(maxlen=_HISTORY))
    """When, in seconds, and what, for each answer that differed."""

    def left(self) -> float:
        """Seconds until the deadline; 0 after it."""
        return max(0.0, self.started + self.seconds - time.monotonic())

    def note(self, result: QueryResult) -> None:
        """That was the answer."""
        self.times += 1
        self.trouble = ""
        if not self.history or _content(self.history[-1][1]) != _content(result):
            self.history.append((time.monotonic() - self.started, result))

    def explain(self, error: E2EError, expected: str) -> E2EError:
        """The error of the wait, with all that is known put into its text."""
        waited = time.monotonic() - self.started
        outcome = f"waited {waited:.1f} s"
        if isinstance(error, WaitFailed):
            outcome = f"it can no longer be, known after {waited:.1f} s"
        lines = [f"{self.promql} did not become {expected}: {outcome}"]
        lines += [f"  {line}" for line in (*error.message.splitlines()[1:], *self._seen())]
        return type(error)("\n".join(lines), reason=error.reason, details=error.details)

    def _seen(self) -> list[str]:
        lines = [f"last results that differed, of {self.times} answers:"] if self.history else []
        for moment, result in self.history:
            first, *more = str(result).splitlines()
            lines += [f"  +{moment:.1f}s  {first}", *(f"         {line}" for line in more)]
        for warning in self.history[-1][1].warnings if self.history else ():
            lines.append(f"Prometheus notes: {warning}")
        return [*lines, f"at last: {self.trouble}"] if self.trouble else lines


def _content(result: QueryResult) -> object:
    """What makes it another one: not its time."""
    if isinstance(result, Vector):
        return sorted((sorted(sample.labels.items()), repr(sample.value)) for sample in result)
    return str(result)
