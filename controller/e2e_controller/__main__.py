"""The controller as a process."""

import asyncio
import logging
import sys
from typing import NoReturn

from pydantic import ValidationError
from pydantic_settings import CliApp, SettingsError

from e2e_controller.manager import Manager, StartError
from e2e_controller.settings import Settings, validation_text

EXIT_SETTINGS = 2
EXIT_START = 3


def main() -> None:
    """Runs until a signal comes; exits with 2 for wrong settings, with 3 if it cannot start."""
    settings = _settings(sys.argv[1:])
    _set_up_logging(settings)

    async def run() -> None:
        await Manager(settings).run()

    try:
        asyncio.run(run())
    except StartError as error:
        _fail(str(error), EXIT_START)


def _settings(arguments: list[str]) -> Settings:
    try:
        return CliApp.run(Settings, cli_args=arguments)
    except ValidationError as error:
        _fail(validation_text(error), EXIT_SETTINGS)
    except SettingsError as error:
        _fail(str(error), EXIT_SETTINGS)


def _fail(message: str, code: int) -> NoReturn:
    sys.stderr.write(f"e2e-controller: {message}\n")
    sys.exit(code)


def _set_up_logging(settings: Settings) -> None:
    handler = logging.StreamHandler()
    if settings.log_format == "json":
        from pythonjsonlogger.json import JsonFormatter  # here: most runs log text

        handler.setFormatter(JsonFormatter("{asctime}{levelname}{name}{message}", style="{"))
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler])


if __name__ == "__main__":
    main()
