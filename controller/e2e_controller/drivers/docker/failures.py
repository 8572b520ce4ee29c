"""Turns what docker-py, requests, aiohttp and the engine say into the driver's errors; in one place."""

import errno
import http.client
import json
import re
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress

import requests
from docker.errors import APIError, InvalidVersion

from e2e_api.conditions import Reason
from e2e_controller.drivers.base import (
    ContainerGone,
    ContainerNotRunning,
    DriverError,
    EngineUnavailable,
    NameTaken,
    NoSuchPath,
    PortTaken,
    ReadOnly,
    SpecRefused,
)
from e2e_controller.drivers.docker.endpoint import Endpoint
from e2e_controller.drivers.docker.tls_words import TURN_IT_ON, WANTS_TLS, why_no_tls
from e2e_controller.drivers.docker.wording import plain

_GARBAGE = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    http.client.HTTPException,
)
_TEXT_LIMIT = 4000
START_THE_ENGINE = "start the Docker engine, or name another one with DOCKER_HOST or `docker context use`"

SEE_WHETHER_IT_HANGS = "see whether the engine hangs: `docker info`"


class EngineRefusal(Exception):  # noqa: N818 - never leaves this package
    """The engine answered with an HTTP status of 400 or above."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status

    @classmethod
    def from_answer(cls, status: int, body: bytes) -> "EngineRefusal":
        """With the text of an error answer."""
        with suppress(ValueError, KeyError, TypeError):
            return cls(status, str(json.loads(body)["message"])[:_TEXT_LIMIT])
        return cls(status, body.decode(errors="replace").strip()[:_TEXT_LIMIT] or "no reason given")


def _mount_failed(message: str) -> DriverError:
    return SpecRefused(
        message,
        reason=Reason.MOUNT_FAILED,
        remedy="the path must be there, of the right type, on the engine's host",
    )


def _start_failed(message: str) -> DriverError:
    return SpecRefused(
        message, reason=Reason.START_FAILED, remedy="correct entrypoint, command, user or workingDir"
    )


_RULES: tuple[tuple[re.Pattern[str], Callable[[str], DriverError]], ...] = tuple(
    (re.compile(pattern), build)
    for pattern, build in (
        (
            r"port is already allocated|address already in use",
            # Who has it is found out where the container is known, and what helps goes with that.
            PortTaken,
        ),
        (
            r"lstat /\S+: not a directory",
            lambda message: SpecRefused(
                message,
                reason=Reason.START_FAILED,
                remedy="correct files or volumes: one takes the place of a directory that the image needs",
            ),
        ),
        (
            r"invalid reference format",
            lambda message: SpecRefused(message, remedy="correct the image's name"),
        ),
        (
            r"bind source path does not exist|invalid mount config|error mounting|is not directory"
            r"|[Mm]ounts denied",
            _mount_failed,
        ),
        (
            r"is marked read-only|tar file.*read-only file system",
            lambda message: ReadOnly(
                message, remedy="write to another directory, or leave out the volume's readOnly"
            ),
        ),
        (
            r"unknown capability",
            lambda message: SpecRefused(message, remedy="see capabilities(7) for the names"),
        ),
        (
            r"unable to apply caps",
            lambda message: SpecRefused(
                message, reason=Reason.START_FAILED, remedy="this engine may not grant that privilege"
            ),
        ),
        (
            r"executable file not found|exec: \".*(permission denied|no such file or directory)"
            r"|exec format error|chdir to cwd|unable to find user|no matching entries in (passwd|group)"
            r"|uids and gids must be|Cannot mkdir",
            _start_failed,
        ),
        (
            r"no space left on device",
            lambda message: DriverError(message, remedy="free disk space on the engine's host"),
        ),
        (
            r"tar file.*(non-directory|not a directory|is a directory|file exists|busy)",
            lambda message: SpecRefused(
                message, remedy="correct files[].path: a folder, a volume or another file is in its place"
            ),
        ),
        (
            r"invalid tar header|tar file.*unexpected EOF",
            lambda message: SpecRefused(message, remedy="send a whole tar stream"),
        ),
        (
            r"sharing network namespace|in private \(none\) mode",
            lambda message: SpecRefused(message, remedy="run it in a network of its own, or on the host's"),
        ),
        (
            r"cannot assign requested address",
            lambda message: SpecRefused(
                message,
                reason=Reason.START_FAILED,
                remedy="--publish-address has to be an address of the engine's machine, such as 0.0.0.0",
            ),
        ),
        (r"is already in use by|is ambiguous", NameTaken),
        (r"[Cc]ould not (find the file|be found on container)", NoSuchPath),
        (r"marked for removal", ContainerGone),
        (r"container state improper", ContainerNotRunning),  # Podman's
        (r"is not running|is (already |not )?paused|start a paused|resume a running", ContainerNotRunning),
    )
)


def refusal_to_error(what: str, status: int, message: str) -> DriverError:
    """What an error answer of the engine means."""
    text = f"{what}: {plain(message)}"
    for pattern, build in _RULES:
        if pattern.search(message):
            return build(text)
    if status == 404:
        return ContainerGone(text)
    if WANTS_TLS in message:
        return EngineUnavailable(text, remedy=TURN_IT_ON)
    if status in (401, 407):
        return EngineUnavailable(text, remedy="allow this user to use the engine")
    if status == 400:
        return SpecRefused(text, remedy="correct what the manifest asks for")
    return DriverError(text)


def to_driver_error(
    what: str, error: BaseException, endpoint: Endpoint, seconds: float, version: str = ""
) -> DriverError:
    """Any failure of a call to the engine, as a driver's error. `what` names the call."""
    match error:
        case DriverError():
            return error
        case EngineRefusal():
            return refusal_to_error(what, error.status, str(error))
        case APIError():
            response = error.response
            status = 500 if response is None else response.status_code
            return refusal_to_error(what, status, _explanation(error))
        case InvalidVersion():
            return EngineUnavailable(f"{what}: {endpoint}: {error}", remedy="update the engine")
    cause, remedy = _why_unreachable(error, endpoint, seconds)
    if remedy == SEE_WHETHER_IT_HANGS and may_lock_up(version):
        remedy = f"engines before 20.10.27 may lock up (moby issue 46661), this one is {version}: restart it"
    return EngineUnavailable(f"{what}: the engine at {endpoint} {cause}", remedy=remedy)


def may_lock_up(version: str) -> bool:
    """Whether the engine is older than the last fix of a deadlock in its networks."""
    numbers = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    return numbers is not None and tuple(map(int, numbers.groups())) < (20, 10, 27)


def _explanation(error: APIError) -> str:
    explanation = error.explanation
    text = explanation.decode(errors="replace") if isinstance(explanation, bytes) else explanation
    return (text or str(error)).strip()[:_TEXT_LIMIT]


def _why_unreachable(error: BaseException, endpoint: Endpoint, seconds: float) -> tuple[str, str]:
    """The cause, and what to do about it."""
    chain = list(_chain(error))
    system = [link for link in chain if isinstance(link, OSError) and link.errno is not None]
    numbers = {link.errno for link in system}
    if tls := why_no_tls(chain, endpoint):
        return tls
    if numbers & {errno.ENOENT, errno.ENOTSOCK, errno.ENOTDIR}:
        return f"has no socket at {endpoint.socket_path}", START_THE_ENGINE
    if numbers & {errno.EACCES, errno.EPERM}:
        remedy = (
            "add this user to the group that owns the socket (usually `docker`) and log in again; "
            "a container gets that group by `--group-add $(stat -c %g /var/run/docker.sock)`"
        )
        return "may not be used by this user: permission denied", remedy
    if errno.ECONNREFUSED in numbers:
        return "does not listen: connection refused", START_THE_ENGINE
    if any(isinstance(link, socket.gaierror) for link in chain):
        return f"has a host name that is not known: {endpoint.host}", "correct DOCKER_HOST"
    timeouts = (TimeoutError, requests.exceptions.Timeout)
    if any(isinstance(link, timeouts) for link in chain):
        return f"did not answer within {seconds:g} s", SEE_WHETHER_IT_HANGS
    if any(_is_garbage(link) for link in chain):
        return f"gave an answer that is none of a Docker engine: {error}"[:500], "check the address"
    broken = (requests.exceptions.ConnectionError, EOFError)
    if system or isinstance(error, broken) or _is_of_aiohttp(error, "ClientError"):
        return f"broke off its answer: {chain[-1] or error!r}", "see the engine's log"
    return f"cannot be used: {error!r}", "see the engine's log"


def _is_garbage(error: BaseException) -> bool:
    garbage = isinstance(error, _GARBAGE) or _is_of_aiohttp(error, "ClientResponseError")
    return garbage and not isinstance(error, OSError)


def _is_of_aiohttp(error: BaseException, name: str) -> bool:
    """Whether it is an error of that class; there is none before aiohttp, which is slow to load, is there."""
    class_ = getattr(sys.modules.get("aiohttp"), name, None)  # another thread may be loading it just now
    return class_ is not None and isinstance(error, class_)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception and all that it wraps; requests and urllib3 keep causes among their arguments."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        current = waiting.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        links = (current.__cause__, current.__context__, getattr(current, "reason", None), *current.args)
        waiting += [link for link in links if isinstance(link, BaseException)]
