"""The controller as a process."""

import asyncio
import gc
import os
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

from pydantic import ValidationError
from pydantic_settings import SettingsError

from e2e_api.places import STATE_FOLDER_IN_USE
from e2e_controller.command_line import read_settings
from e2e_controller.logs import set_up_logging
from e2e_controller.settings import Settings, describe
from e2e_controller.state_folder import StateFolderError, StateFolderInUse, StateLock

EXIT_LEFT_BEHIND = 1
EXIT_SETTINGS = 2
EXIT_START = 3


def main() -> None:
    """Runs until a signal comes; the exit codes are explained by `--help`."""
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # else each failed handshake of a stranger is a line
    settings = _settings(sys.argv[1:])
    set_up_logging(settings.log_level, settings.log_format)
    lock = StateLock(settings.state_dir.absolute(), _about(settings))
    try:
        # Before the rest is loaded: of two that are started together, the first one has the folder.
        with lock:
            _have_temporary_folder(settings.state_dir)
            _run(settings, lock)
    except StateFolderInUse as error:
        _fail(str(error), STATE_FOLDER_IN_USE)
    except StateFolderError as error:
        _fail(str(error), EXIT_START)


def _run(settings: Settings, lock: StateLock) -> None:
    gc.disable()  # nothing of what is loaded is garbage, and to look for some takes a seventh of the time
    from e2e_controller.manager import LeftBehind, Manager
    from e2e_controller.starting import StartError, WrongSetting

    gc.freeze()
    gc.enable()

    async def run() -> None:
        await Manager(settings, lock=lock).run()

    try:
        asyncio.run(run())
    except WrongSetting as error:
        _fail(str(error), EXIT_SETTINGS)
    except StartError as error:
        _fail(str(error), EXIT_START)
    except LeftBehind as error:
        _fail(str(error), EXIT_LEFT_BEHIND)


def _have_temporary_folder(state: Path) -> None:
    """Where the file system is read-only, as containers' may be, there is only the state folder."""
    try:
        tempfile.gettempdir()
    except FileNotFoundError:
        tempfile.tempdir = str(state)


def _about(settings: Settings) -> str:
    """What another controller is told that wants the same state folder."""
    process = f"process {os.getpid()}"
    if not settings.idle_timeout:
        return process
    return (
        f"{process}, which a test or an `e2e` command has started, and which ends by itself when it is "
        f"unused for {settings.idle_timeout:g}s"
    )


def _settings(arguments: list[str]) -> Settings:
    try:
        return read_settings(arguments)
    except ValidationError as error:
        _fail(describe(error), EXIT_SETTINGS)
    except SettingsError as error:
        _fail(str(error), EXIT_SETTINGS)


def _fail(message: str, code: int) -> NoReturn:
    sys.stderr.write(f"e2e-controller: {message}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
