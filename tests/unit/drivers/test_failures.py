import errno
import socket
import ssl
import sys
from types import ModuleType

import aiohttp
import docker.errors
import pytest
import requests
import urllib3

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
from e2e_controller.drivers.docker.failures import (
    EngineRefusal,
    may_lock_up,
    refusal_to_error,
    to_driver_error,
)
from e2e_controller.drivers.docker.wording import plain

ENDPOINT = Endpoint("unix:///run/x.sock", "default")
START = "OCI runtime create failed: runc create failed: unable to start container process: "


@pytest.mark.parametrize(
    ("status", "message", "kind", "reason"),
    [
        (404, "No such container: abc", ContainerGone, Reason.ENGINE_ERROR),
        (404, "Could not find the file /x in container abc", NoSuchPath, Reason.ENGINE_ERROR),
        (404, '"/x" could not be found on container abc: no such file', NoSuchPath, Reason.ENGINE_ERROR),
        (404, "network e2e-x not found", ContainerGone, Reason.ENGINE_ERROR),
        (409, "container is marked for removal and cannot be started", ContainerGone, Reason.ENGINE_ERROR),
        (409, "Container abc is not running", ContainerNotRunning, Reason.ENGINE_ERROR),
        (409, "Container abc is paused, unpause the container before exec", ContainerNotRunning, None),
        (500, "Container abc is not paused", ContainerNotRunning, None),
        (409, 'Conflict. The container name "/a.b" is already in use by container "c"', NameTaken, None),
        (400, "network e2e-x is ambiguous (2 matches found on name)", NameTaken, Reason.NAME_CONFLICT),
        (500, "Bind for 127.0.0.1:80 failed: port is already allocated", PortTaken, Reason.PORT_TAKEN),
        (500, "listen tcp4 127.0.0.1:80: bind: address already in use", PortTaken, Reason.PORT_TAKEN),
        (
            400,
            'invalid mount config for type "bind": bind source path does not exist: /x',
            SpecRefused,
            "MountFailed",
        ),
        (
            400,
            START + 'error mounting "/tmp" to rootfs at "/etc/passwd": not a directory',
            SpecRefused,
            "MountFailed",
        ),
        (403, "mounted volume is marked read-only", ReadOnly, "MountFailed"),
        (403, "container rootfs is marked read-only", ReadOnly, "MountFailed"),
        (500, "Error processing tar file(exit status 1): mkdir /x: read-only file system", ReadOnly, None),
        (500, "Error processing tar file(exit status 1): archive/tar: invalid tar header", SpecRefused, None),
        (500, "Error processing tar file(exit status 1): unexpected EOF", SpecRefused, None),
        (400, 'invalid CapAdd: unknown capability: "CAP_X"', SpecRefused, Reason.CREATE_FAILED),
        (400, START + 'exec: "x": executable file not found in $PATH', SpecRefused, Reason.START_FAILED),
        (400, START + 'exec: "/x": permission denied: unknown', SpecRefused, Reason.START_FAILED),
        (400, START + 'exec: "/x": stat /x: no such file or directory', SpecRefused, Reason.START_FAILED),
        (500, "unable to find user x: no matching entries in passwd file", SpecRefused, Reason.START_FAILED),
        (500, START + "unable to apply caps: operation not permitted", SpecRefused, Reason.START_FAILED),
        (500, "uids and gids must be in range 0-2147483647", SpecRefused, Reason.START_FAILED),
        (
            500,
            'Error processing tar file(exit status 1): cannot overwrite directory "/etc" with non-directory',
            SpecRefused,
            Reason.CREATE_FAILED,
        ),
        (
            500,
            "Error processing tar file(exit status 1): unlinkat //data: device or resource busy",
            SpecRefused,
            Reason.CREATE_FAILED,
        ),
        (400, "Minimum memory limit allowed is 6MB", SpecRefused, Reason.CREATE_FAILED),
        (
            500,
            "Error processing tar file(exit status 1): open /etc/passwd/x: not a directory",
            SpecRefused,
            Reason.CREATE_FAILED,
        ),
        (
            400,
            "invalid reference format: repository name must be lowercase",
            SpecRefused,
            Reason.CREATE_FAILED,
        ),
        (500, "lstat /etc/passwd: not a directory", SpecRefused, Reason.START_FAILED),
        (500, "mkdir /x: no space left on device", DriverError, Reason.ENGINE_ERROR),
        (403, "network x has active endpoints", DriverError, Reason.ENGINE_ERROR),
        (401, "who are you", EngineUnavailable, Reason.ENGINE_UNAVAILABLE),
        (500, "something else", DriverError, Reason.ENGINE_ERROR),
        (503, "", DriverError, Reason.ENGINE_ERROR),
    ],
)
def test_refusals(status: int, message: str, kind: type[DriverError], reason: str | None) -> None:
    error = refusal_to_error("start a/b/c", status, message)
    assert type(error) is kind
    assert str(error).startswith(f"start a/b/c: {message.removeprefix(START).removesuffix(': unknown')}")
    if reason is not None:
        assert error.reason == reason
    assert error.retry is not isinstance(error, SpecRefused)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (
            "failed to create shim task: " + START + 'exec: "x": executable file not found in $PATH: unknown',
            'exec: "x": executable file not found in $PATH',
        ),
        (
            "OCI runtime create failed: container_linux.go:380: starting container process caused: "
            'exec: "x": permission denied: unknown',
            'exec: "x": permission denied',
        ),
        (
            f"driver failed programming external connectivity on endpoint a.b ({'0f' * 32}): "
            "Bind for 127.0.0.1:80 failed: port is already allocated",
            "Bind for 127.0.0.1:80 failed: port is already allocated",
        ),
        (
            START
            + 'error mounting "/a" to rootfs at "/b": mount /a:/b (via /proc/self/fd/6), flags: 0x5000: '
            "not a directory: unknown: Are you trying to mount a directory onto a file (or vice-versa)? "
            "Check if the specified host path exists and is the expected type",
            'error mounting "/a" to rootfs at "/b": mount /a:/b: not a directory',
        ),
        (
            "no such image: A B: invalid reference format: repository name must be lowercase",
            "invalid reference format: repository name must be lowercase",
        ),
        (
            "lstat /var/lib/docker/overlay2/1b545ec9/merged/etc/passwd: not a directory",
            "lstat /etc/passwd: not a directory",
        ),
        ("manifest unknown: manifest unknown", "manifest unknown: manifest unknown"),
    ],
)
def test_the_engines_own_parts_are_left_out(message: str, text: str) -> None:
    assert plain(message) == text


def api_error(status: int, explanation: str) -> docker.errors.APIError:
    response = requests.Response()
    response.status_code = status
    return docker.errors.APIError("failed", response=response, explanation=explanation)


def test_docker_py_and_asyncio_say_the_same() -> None:
    for error in (api_error(404, "No such container: x"), EngineRefusal(404, "No such container: x")):
        found = to_driver_error("inspect", error, ENDPOINT, 5)
        assert type(found) is ContainerGone
        assert str(found) == "inspect: No such container: x"


def wrapped(error: Exception) -> Exception:
    """As docker-py gives it: among arguments of arguments."""
    outer = requests.exceptions.ConnectionError(
        urllib3.exceptions.ProtocolError("Connection aborted.", error)
    )
    found = docker.errors.DockerException(f"Error while fetching server API version: {outer}")
    found.__cause__ = outer
    return found


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            FileNotFoundError(errno.ENOENT, "No such file"),
            "no socket at /run/x.sock; start the Docker engine",
        ),
        (PermissionError(errno.EACCES, "Permission denied"), "permission denied; add this user to the group"),
        (
            ConnectionRefusedError(errno.ECONNREFUSED, "refused"),
            "connection refused; start the Docker engine",
        ),
        (socket.gaierror(-2, "Name or service not known"), "host name that is not known"),
        (ssl.SSLError(1, "certificate verify failed"), "does not agree on TLS"),
        (
            ssl.SSLError(1, "[SSL: SSLV3_ALERT_CERTIFICATE_EXPIRED] sslv3 alert certificate expired"),
            "does not accept this client's certificate",
        ),
        (ConnectionResetError(errno.ECONNRESET, "reset by peer"), "broke off its answer"),
    ],
)
def test_why_an_engine_cannot_be_reached(error: Exception, text: str) -> None:
    for given in (error, wrapped(error)):
        found = to_driver_error("connect", given, ENDPOINT, 5)
        assert type(found) is EngineUnavailable
        assert str(found).startswith("connect: the engine at unix:///run/x.sock (default) ")
        assert text in str(found)
        assert found.retry


@pytest.mark.parametrize(
    "error",
    [TimeoutError(), requests.exceptions.ReadTimeout("x"), aiohttp.ServerTimeoutError("x")],
)
def test_time_outs(error: Exception) -> None:
    found = to_driver_error("inspect", error, ENDPOINT, 2.5)
    assert "did not answer within 2.5 s; see whether the engine hangs" in str(found)
    found = to_driver_error("inspect", error, ENDPOINT, 2.5, "20.10.24+dfsg1")
    assert "moby issue 46661" in str(found)
    assert "restart it" in str(found)


@pytest.mark.parametrize(
    "error", [ValueError("no JSON"), KeyError("Id"), TypeError("x"), AttributeError("x")]
)
def test_nonsense(error: Exception) -> None:
    assert "none of a Docker engine" in str(to_driver_error("inspect", error, ENDPOINT, 5))


def test_a_failure_while_aiohttp_is_being_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """By another thread: the module is there, and most of what it will have is not yet."""
    monkeypatch.setitem(sys.modules, "aiohttp", ModuleType("aiohttp"))
    broken = requests.exceptions.ConnectionError("Connection aborted.", ConnectionResetError(104, "reset"))
    found = to_driver_error("list", broken, ENDPOINT, 5)
    assert isinstance(found, EngineUnavailable)
    assert "broke off its answer" in str(found)


def test_our_own_errors_stay() -> None:
    error = NameTaken("x")
    assert to_driver_error("inspect", error, ENDPOINT, 5) is error


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"message": "why"}', "why"),
        (b"plain", "plain"),
        (b"[]", "[]"),
        (b"", "no reason given"),
        (b"\xff", "\ufffd"),
    ],
)
def test_texts_of_error_answers(body: bytes, text: str) -> None:
    assert str(EngineRefusal.from_answer(500, body)) == text


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("20.10.24+dfsg1", True),
        ("19.3.1", True),
        ("20.10.27", False),
        ("28.2.2", False),
        ("", False),
        ("dev", False),
    ],
)
def test_engines_that_may_lock_up(version: str, expected: bool) -> None:
    assert may_lock_up(version) is expected


def test_a_taken_port_is_told_without_the_engines_preamble() -> None:
    engine = (
        "driver failed programming external connectivity on endpoint a.web (f2a9973500d7e602920490c542ba): "
        "Bind for 127.0.0.1:80 failed: port is already allocated"
    )
    told = refusal_to_error("start a/Workload/web", 500, engine)
    assert str(told) == "start a/Workload/web: Bind for 127.0.0.1:80 failed: port is already allocated"
