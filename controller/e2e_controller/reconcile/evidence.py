"""What is kept of a container that ended, or is about to go."""

import asyncio
from collections.abc import Iterable

from e2e_controller.drivers.base import Container, Driver, DriverError
from e2e_controller.objects import ObjectStatus, PastContainer
from e2e_controller.reconcile.steps import Plan, Remove, Start

LOG_LINES = 100
LOG_LINE_LENGTH = 2_000
LOG_SECONDS = 5.0


async def last_log_lines(driver: Driver, container: Container, status: ObjectStatus) -> tuple[str, ...]:
    """The end of its log; read once for each end of a container."""
    if container.is_same_end(status.container):
        return status.last_log_lines
    pieces = []
    try:
        async with asyncio.timeout(LOG_SECONDS):
            async for output in driver.logs(container.id, tail=LOG_LINES):
                pieces.append(output.data)
    except (DriverError, TimeoutError) as error:
        return (f"(the log could not be read: {error or 'timeout'})",)
    return cut_lines(pieces)


def cut_lines(pieces: Iterable[bytes]) -> tuple[str, ...]:
    """As many of the last lines, and as much of each, as is kept."""
    lines = b"".join(pieces).decode(errors="replace").splitlines()
    return tuple(line[:LOG_LINE_LENGTH] for line in lines[-LOG_LINES:])


async def past_container(
    driver: Driver, container: Container | None, plan: Plan, status: ObjectStatus
) -> PastContainer | None:
    """What to keep of the container that the plan replaces or starts again; None where that is nothing."""
    if container is None or container.started_at is None:
        return None
    ends = any(isinstance(step, Remove | Start) and step.container_id == container.id for step in plan.steps)
    if not ends:
        return None
    lines = await last_log_lines(driver, container, status)
    return PastContainer(container, status.restart_count, lines)
