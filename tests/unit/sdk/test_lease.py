"""The claim that outlives its controller, with stand-ins for the client and its streams."""

import asyncio
from typing import Any

import pytest

from e2e.aio.lease import AsyncLease
from e2e_api.errors import Unavailable


class Held:
    """A stream that is open until it is released."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self._ended = asyncio.Event()

    async def ended(self) -> None:
        self.open.set()
        await self._ended.wait()

    async def release(self) -> None:
        self._ended.set()


class Client:
    """Grants one claim more."""

    target = None

    def __init__(self, held: Held) -> None:
        self._held = held

    async def hold(self, _environment: str, **_options: Any) -> Held:
        return self._held


async def test_whatever_keeps_a_controller_from_starting_the_claim_is_made_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    troubles = iter([OSError("no space left on device"), Unavailable("it cannot start")])

    def revive(_target: object) -> None:
        for trouble in troubles:
            raise trouble

    monkeypatch.setattr("e2e.aio.lease.revive", revive)
    first, second = Held(), Held()
    lease = AsyncLease(Client(second), "mine", first, keep=False)  # type: ignore[arg-type]
    await first.release()
    await asyncio.wait_for(second.open.wait(), 60)
    assert next(troubles, None) is None
    await lease.release()
    await asyncio.wait_for(second.ended(), 60)
