"""Rounds in which each takes its turn, and in which one that breaks hurts nobody else."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

ESSENTIAL = ("floor", "e2e")
"""Without them there is nothing to tell: where one of them breaks, the scenario does."""
T = TypeVar("T")


class Member(Protocol):
    """Who takes turns."""

    name: str

    def down(self) -> None:
        """Clears up after a trial that broke."""


AnyMember = TypeVar("AnyMember", bound=Member)


@dataclass(slots=True)
class Turns(Generic[T]):
    """What the rounds gave, by contender, round by round; and why one is out from then on."""

    found: dict[str, list[T]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def note(self) -> str:
        """For the report."""
        return "; ".join(f"{name} broke: {failure}" for name, failure in self.failures.items())


def take_turns(
    peers: Sequence[AnyMember],
    trial: Callable[[AnyMember], T],
    rounds: int,
    say: Callable[[int], None] = lambda _: None,
) -> Turns[T]:
    """The order turns around in every second round, so that none always meets a machine that just worked."""
    turns: Turns[T] = Turns({peer.name: [] for peer in peers})
    for number in range(rounds):
        say(number)
        for peer in peers if number % 2 == 0 else reversed(peers):
            if peer.name in turns.failures:
                continue
            try:
                turns.found[peer.name].append(trial(peer))
            except Exception as error:
                with suppress(Exception):
                    peer.down()
                if peer.name in ESSENTIAL:
                    raise
                turns.failures[peer.name] = f"{type(error).__name__}: {error}"
    return turns
