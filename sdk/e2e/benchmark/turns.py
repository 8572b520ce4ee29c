"""Repetitions of two ways by turns, so that what slows the machine down meets both alike."""

import time
from collections.abc import Awaitable, Callable, Collection, Iterator
from typing import Any

from e2e.benchmark.comparison import TOLERANCE, Comparison, Run, figures_of
from e2e_api.errors import InvalidArgument

REPETITIONS = 10


def compare(
    a: Callable[[], Any],
    b: Callable[[], Any],
    *,
    repetitions: int = REPETITIONS,
    warmup: int = 1,
    tolerance: float = TOLERANCE,
    names: tuple[str, str] = ("a", "b"),
    higher_is_better: Collection[str] = (),
    about: str = "",
) -> Comparison:
    """Does `a` and `b` by turns, and says whether `b` is faster, slower, or that nobody can tell.

    Which of them goes first changes with each repetition. The verdict is of 95 % confidence, from the ranks
    of the repetitions, so that it supposes nothing about how they are distributed; at least four of both are
    needed for any other than `cannot tell`.

    Args:
        a: done each time; what it gives is what counts: None its time in seconds, else a number, numbers by
            name, or a `Report`, of which less is better.
        b: as `a`.
        repetitions: of both.
        warmup: repetitions before, which do not count.
        tolerance: a change by no more than this part does not matter.
        names: what to call them.
        higher_is_better: figures of which more is better; a query's name stands for all of its series.
        about: the figure that the verdict is about, such as `web: cpu_seconds`; otherwise the seconds, where
            there are such, else the first.

    Raises InvalidArgument for what gives no figures, and whatever `a` and `b` raise.
    """
    ways, runs = (a, b), _new_runs(repetitions, warmup)
    for way, counts in order(repetitions, warmup):
        started = time.perf_counter()
        result = ways[way]()
        figures = figures_of(result, time.perf_counter() - started)
        if counts:
            runs[way].append(figures)
    return Comparison.of(
        *runs, names=names, tolerance=tolerance, higher_is_better=higher_is_better, about=about
    )


async def compare_async(
    a: Callable[[], Awaitable[Any]],
    b: Callable[[], Awaitable[Any]],
    *,
    repetitions: int = REPETITIONS,
    warmup: int = 1,
    tolerance: float = TOLERANCE,
    names: tuple[str, str] = ("a", "b"),
    higher_is_better: Collection[str] = (),
    about: str = "",
) -> Comparison:
    """As `compare`, of what has to be awaited."""
    ways, runs = (a, b), _new_runs(repetitions, warmup)
    for way, counts in order(repetitions, warmup):
        started = time.perf_counter()
        result = await ways[way]()
        figures = figures_of(result, time.perf_counter() - started)
        if counts:
            runs[way].append(figures)
    return Comparison.of(
        *runs, names=names, tolerance=tolerance, higher_is_better=higher_is_better, about=about
    )


def order(repetitions: int, warmup: int) -> Iterator[tuple[int, bool]]:
    """(which of the two, whether it counts): a b, b a, a b, ..."""
    for repetition in range(-warmup, repetitions):
        first = repetition % 2
        for way in (first, 1 - first):
            yield way, repetition >= 0


def _new_runs(repetitions: int, warmup: int) -> tuple[list[Run], list[Run]]:
    if repetitions < 1:
        raise InvalidArgument(f"repetitions: expected at least 1, not {repetitions}")
    if warmup < 0:
        raise InvalidArgument(f"warmup: expected 0 or more, not {warmup}")
    return [], []
