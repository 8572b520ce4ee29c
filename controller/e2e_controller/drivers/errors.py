"""The errors that a driver raises: classes by what the caller can do."""

from e2e_api.conditions import Reason


class DriverError(Exception):
    """Base. `reason` becomes the condition's reason, `remedy` ends its message.

    `retry`: whether trying again can help without somebody changing something.
    """

    reason: str = Reason.ENGINE_ERROR
    retry: bool = True

    def __init__(
        self, message: str, *, reason: str = "", remedy: str = "", retry: bool | None = None
    ) -> None:
        super().__init__(f"{message}; {remedy}" if remedy else message)
        self.reason = reason or type(self).reason
        self.retry = type(self).retry if retry is None else retry


class EngineUnavailable(DriverError):  # noqa: N818
    """The engine does not answer."""

    reason = Reason.ENGINE_UNAVAILABLE


class ContainerGone(DriverError):  # noqa: N818
    """The container (network, image) that was named is not there any more."""


class NoSuchPath(ContainerGone):
    """What was to be copied, or copied to, is not there in the container, or that is gone as a whole."""


class ContainerNotRunning(DriverError):  # noqa: N818
    """The container is there but does not run (or is paused), and the call needs it to."""


class NameTaken(DriverError):  # noqa: N818
    """A container or network that is not ours has the name. It is never touched."""

    reason = Reason.NAME_CONFLICT


class PortTaken(DriverError):  # noqa: N818
    """A host port is in use. `chosen`: by our own choice, so that another one helps."""

    reason = Reason.PORT_TAKEN

    def __init__(self, message: str, *, chosen: bool = False, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.chosen = chosen


class ImageFailed(DriverError):  # noqa: N818
    """The image cannot be had. `retry` False where the registry says that there is none."""

    reason = Reason.IMAGE_PULL_FAILED


class SpecRefused(DriverError):  # noqa: N818
    """The engine refuses the container as specified; only another manifest helps."""

    reason = Reason.CREATE_FAILED
    retry = False


class ReadOnly(SpecRefused):
    """What was to be written would have to be where a container may only read."""

    reason = Reason.MOUNT_FAILED
