"""What a start needs of the engine, and how it ends where it does not get what it needs."""

import asyncio

from e2e_controller.drivers.base import Driver, DriverError, EngineInfo
from e2e_controller.instruments import Instruments
from e2e_controller.policy import Judge, OtherMachine, OwnMounts, SameMachine, View, choose_policy, make_judge
from e2e_controller.server.protection import Protection, protect
from e2e_controller.server.renewal import RenewalError
from e2e_controller.settings import Settings

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


async def connect(driver: Driver) -> EngineInfo:
    """What the engine says it is. Raises `StartError`."""
    try:
        async with asyncio.timeout(ENGINE_PATIENCE):
            await driver.start()
            return await driver.info()
    except DriverError as error:
        raise StartError(str(error)) from error
    except TimeoutError as error:
        raise StartError(_ENGINE_HANGS) from error


def protecting(settings: Settings, instruments: Instruments) -> Protection:
    """What stands before TCP. Raises `WrongSetting`."""
    try:
        return protect(settings, instruments)
    except RenewalError as error:
        raise WrongSetting(str(error)) from error


def policing(settings: Settings, info: EngineInfo) -> Judge:
    """The judge of what manifests ask for. Raises `WrongSetting`."""
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
    return make_judge(
        policy,
        settings.state_dir.absolute(),
        [folder.absolute() for folder in settings.folder],
        engine_socket=info.socket,
        published_on=info.published_on,
        view=view,
    )
