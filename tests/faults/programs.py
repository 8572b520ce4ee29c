"""What runs in the fake's containers, and ends by itself."""

from dataclasses import dataclass, field

from e2e_controller.drivers.fake import FakeProcess


@dataclass
class Flaky:
    """A program that fails a few times, then lives."""

    times: int
    runs: int = field(default=0)

    async def __call__(self, process: FakeProcess) -> int:
        self.runs += 1
        if self.runs <= self.times:
            return 1
        await process.signal("SIGTERM")
        return 0


class Ends:
    """A program that ends at once: with these codes in turn, and with the last one from then on."""

    def __init__(self, *codes: int) -> None:
        self._codes = codes
        self.runs = 0
        """How often it was started."""

    async def __call__(self, _process: FakeProcess) -> int:
        self.runs += 1
        return self._codes[min(self.runs, len(self._codes)) - 1]
