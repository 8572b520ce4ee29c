"""Readiness by a command inside the container."""

import shlex

from e2e_controller.drivers.base import Driver, DriverError, ExitCode
from e2e_controller.httpclient import shorten
from e2e_controller.probes.checks import Answer, PolledCheck

_KEPT = 1024


class ExecCheck(PolledCheck):
    """Runs the command. A run costs the engine far more than a request, so it is rested from."""

    rest = 2.0

    def __init__(self, driver: Driver, container_id: str, command: tuple[str, ...]) -> None:
        self.request = f"exec {shlex.join(command)}"
        self._driver = driver
        self._container_id = container_id
        self._command = command

    async def attempt(self) -> Answer:
        """Ready when the command exits with 0."""
        try:
            session = await self._driver.exec(self._container_id, self._command)
        except DriverError as error:
            return Answer(False, shorten(str(error)))
        output = b""
        try:
            async for piece in session:
                if isinstance(piece, ExitCode):
                    return _judge(piece.code, output)
                output = (output + piece.data)[-_KEPT:]
        except DriverError as error:
            return Answer(False, shorten(str(error)))
        finally:
            await session.close()
        return Answer(False, "the command's exit code is not known")


def _judge(code: int, output: bytes) -> Answer:
    lines = output.decode("utf-8", "replace").split("\n")
    last = shorten(next((line for line in reversed(lines) if line.strip()), ""))
    return Answer(code == 0, f"exit code {code}: {last}" if last and code else f"exit code {code}")
