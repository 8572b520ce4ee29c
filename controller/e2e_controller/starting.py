"""What a start needs of folders, engine and settings, and how it ends where it does not get that."""

import asyncio
import os
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from e2e_controller.atomic_file import sweep
from e2e_controller.directories import Directories
from e2e_controller.drivers.base import Driver, DriverError, EngineInfo
from e2e_controller.events import EventLog
from e2e_controller.instruments import Instruments
from e2e_controller.intake import Intake
from e2e_controller.logs import without_secrets
from e2e_controller.policy import (
    PRESETS,
    Judge,
    OtherMachine,
    OwnMounts,
    SameMachine,
    View,
    choose_policy,
    guarded,
    make_judge,
)
from e2e_controller.secret_sources import SecretSources, load_key
from e2e_controller.server.policy_file import PolicyFile
from e2e_controller.server.protection import Protection, protect
from e2e_controller.server.renewal import RenewalError, Stamp
from e2e_controller.settings import Settings
from e2e_controller.sources import FolderSource
from e2e_controller.state_folder import StateFolderError, StateLock, controller_id, write_controller_id
from e2e_controller.veil import Veil

ENGINE_PATIENCE = 15.0
"""Seconds in which the engine has to say what it is; a client waits for half a minute at most."""
_ENGINE_HANGS = (
    f"the engine did not answer within {ENGINE_PATIENCE:g}s: it hangs or is overloaded, or its machine is "
    "not reached; restart it (Docker Engine before 23.0 can deadlock when containers of one network end at "
    "once)"
)


class StartError(Exception):
    """The controller cannot start; the text says why, and what helps."""


class WrongSetting(StartError):  # noqa: N818
    """A setting names what cannot be used."""


MakeDriver = Callable[[Settings, str, Instruments], Driver]
"""Of the settings, the controller's id, and what counts the engine's calls."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What a controller stands on."""

    directories: Directories
    lock: StateLock
    identity: str
    """The controller's id: the owner of all that it makes."""
    veil: Veil
    instruments: Instruments
    events: EventLog
    protection: Protection
    driver: Driver
    """Behind the policy."""
    info: EngineInfo
    judge: Judge
    policy_file: PolicyFile | None
    """What the judge's policy is read from, again and again."""


async def find_ground(
    stack: AsyncExitStack,
    settings: Settings,
    lock: StateLock | None,
    make_driver: MakeDriver,
    now: Callable[[], datetime],
) -> Ground:
    """Takes the state folder, unless it has its `lock`, and connects to the engine; the stack ends both.

    Raises `StartError`.
    """
    directories = Directories(settings.state_dir.absolute())
    lock, identity = _claim(stack, settings, directories, lock)
    veil = Veil()
    stack.enter_context(without_secrets(veil.hide))
    instruments, events = Instruments(), EventLog(now, veil.hide_in)
    protection = _protecting(settings, instruments)  # before the engine hears of anything
    driver = make_driver(settings, identity, instruments)
    stack.push_async_callback(driver.close)
    info = await _connect(driver)
    judge, file = _policing(settings, info)
    driver = guarded(driver, judge, may_change=file is not None)
    return Ground(
        directories, lock, identity, veil, instruments, events, protection, driver, info, judge, file
    )


def secret_sources(settings: Settings, directories: Directories) -> SecretSources:
    """Where secrets may come from. Raises `StartError`."""
    try:
        key = load_key(directories.secret_key)
    except OSError as error:
        raise StartError(f"cannot keep {directories.secret_key}: {error.strerror}") from error
    return SecretSources(key, settings.secrets_dir, settings.folder, os.environ)


async def start_sources(
    stack: AsyncExitStack, settings: Settings, intake: Intake, directories: Directories
) -> list[FolderSource]:
    """Begins to watch the folders, whose files are all in the store then. Raises `StartError`."""
    interval = settings.rescan_interval
    try:
        directories.manifests.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StartError(f"cannot make {directories.manifests}: {error.strerror}") from error
    managed = FolderSource(directories.manifests, intake.changed, intake.gone, rescan_interval=interval)
    intake.attach(managed)
    roots = [folder.absolute() for folder in settings.folder]
    folders = [
        FolderSource(
            root,
            intake.changed,
            intake.gone,
            folder_problem=intake.folder_problem(root),
            rescan_interval=interval,
        )
        for root in roots
    ]
    # The user's folders come first, so that what they define is not Apply's on a restart.
    sources = [*folders, managed]
    for source in sources:
        stack.push_async_callback(source.close)
        await source.start()
    return sources


def _claim(
    stack: AsyncExitStack, settings: Settings, directories: Directories, lock: StateLock | None
) -> tuple[StateLock, str]:
    """Takes the state folder; gives its lock, and the id of its controller."""
    state = directories.state
    try:
        lock = stack.enter_context(StateLock(state)) if lock is None else lock
        identity = settings.controller_id or controller_id(state)
        write_controller_id(state, identity)
        for folder in (state, directories.manifests):
            sweep(folder)
    except StateFolderError as error:
        raise StartError(str(error)) from error
    return lock, identity


async def _connect(driver: Driver) -> EngineInfo:
    """What the engine says it is."""
    try:
        async with asyncio.timeout(ENGINE_PATIENCE):
            await driver.start()
            return await driver.info()
    except DriverError as error:
        raise StartError(str(error)) from error
    except TimeoutError as error:
        raise StartError(_ENGINE_HANGS) from error


def _protecting(settings: Settings, instruments: Instruments) -> Protection:
    """What stands before TCP. Raises `WrongSetting`."""
    try:
        return protect(settings, instruments)
    except RenewalError as error:
        raise WrongSetting(str(error)) from error


def _policing(settings: Settings, info: EngineInfo) -> tuple[Judge, PolicyFile | None]:
    """The judge of what manifests ask for, and the file that tells it how. Raises `WrongSetting`."""
    stamp = Stamp.of([Path(settings.policy)])
    try:
        policy = choose_policy(
            settings.policy,
            settings.addresses,
            in_container=info.own is not None,
            embedded=settings.ready_fd >= 0,
        )
    except ValueError as error:  # the file was another one when the settings were read
        raise WrongSetting(f"--policy: {error}") from error
    view: View = SameMachine()
    if info.own is not None:
        view = OwnMounts(tuple((mount.source, mount.target) for mount in info.own.mounts))
    elif info.is_remote or not info.local_files:
        view = OtherMachine()
    judge = make_judge(
        policy,
        settings.state_dir.absolute(),
        [folder.absolute() for folder in settings.folder],
        engine_socket=info.socket,
        published_on=info.published_on,
        view=view,
    )
    is_file = settings.policy not in ("", *PRESETS)
    return judge, PolicyFile(Path(settings.policy), judge, stamp) if is_file else None
