"""Groups take turns."""

import asyncio
from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from e2e_controller.fairness import FairQueue, FairSemaphore


@given(st.lists(st.tuples(st.integers(), st.sampled_from("abc"))))
def test_nothing_is_lost_and_each_group_keeps_its_order(items: list[tuple[int, str]]) -> None:
    queue: FairQueue[tuple[int, str]] = FairQueue()
    for item in items:
        queue.append(item, item[1])
    assert len(queue) == len(items)
    out = [queue.popleft() for _ in items]
    for group in "abc":
        assert [item for item in out if item[1] == group] == [item for item in items if item[1] == group]
    first = {group: next((i for i, item in enumerate(out) if item[1] == group), 0) for group in "abc"}
    assert max(first.values()) < 3


async def test_one_who_comes_late_is_let_in_before_a_crowd() -> None:
    semaphore, order = FairSemaphore(1), []

    async def work(group: str) -> None:
        async with semaphore.turn(group):
            order.append(group)
            await asyncio.sleep(0)

    await asyncio.gather(*(work("crowd") for _ in range(5)), work("one"))
    assert order[:3] == ["crowd", "crowd", "one"]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.booleans()), max_size=20), st.integers(1, 3))
async def test_who_leaves_while_waiting_takes_no_place_along(
    visitors: list[tuple[str, bool]], size: int
) -> None:
    semaphore, inside, most = FairSemaphore(size), 0, 0
    random = deque(visitors)

    async def work(group: str) -> None:
        nonlocal inside, most
        async with semaphore.turn(group):
            inside += 1
            most = max(most, inside)
            try:
                await asyncio.sleep(0)
            finally:
                inside -= 1

    tasks = [asyncio.create_task(work(group)) for group, _ in visitors]
    await asyncio.sleep(0)
    for task in tasks:
        if random.popleft()[1]:
            task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert most <= size
    async with asyncio.timeout(60):
        await asyncio.gather(*(work("a") for _ in range(size + 1)))
