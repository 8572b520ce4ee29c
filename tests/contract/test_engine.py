"""Finding the engine, and engines that misbehave."""

import asyncio
import hashlib
import json
import os
import platform
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import docker
import pytest

from e2e_controller.drivers.base import (
    ContainerEvent,
    DriverError,
    EngineUnavailable,
    ExitCode,
    Key,
    Output,
)
from e2e_controller.drivers.docker import DockerDriver
from e2e_controller.drivers.docker.endpoint import find_endpoint
from tests.contract import proxies, scripts
from tests.contract.bench import IMAGE, Bench, eventually, finish

ENGINE = find_endpoint(None, os.environ)
KEY = Key("env", "Workload", "web")
SHORT = 0.5
LIMIT = 5.0
"""Seconds in which every call with a short time-out has to end."""

MakeDriver = Callable[..., DockerDriver]


@pytest.fixture
async def make_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MakeDriver]:
    """Drivers that see nothing of the user's own settings."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "config"))
    made: list[DockerDriver] = []

    def make(engine: str | None = None, call_timeout: float = SHORT) -> DockerDriver:
        made.append(DockerDriver("nobody", engine=engine, state_dir=tmp_path, call_timeout=call_timeout))
        return made[-1]

    yield make
    for driver in made:
        await driver.close()


def write_context(config: Path, name: str, url: str) -> None:
    meta = config / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest()
    meta.mkdir(parents=True)
    document = {"Name": name, "Metadata": {}, "Endpoints": {"docker": {"Host": url, "SkipTLSVerify": False}}}
    (meta / "meta.json").write_text(json.dumps(document))


async def test_the_default_socket(docker_client: docker.APIClient, make_driver: MakeDriver) -> None:
    if ENGINE.source != "default":
        pytest.skip("the suite runs on another engine than the default one")
    driver = make_driver(call_timeout=30)
    await driver.start()
    info = await driver.info()
    theirs = docker_client.info()
    assert info.version == theirs["ServerVersion"]
    assert info.api_version == docker_client.api_version
    assert info.operating_system == theirs["OperatingSystem"]
    assert info.local_files
    assert info.containers_reachable == (platform.release() == theirs["KernelVersion"])


@pytest.mark.parametrize("how", ["setting", "DOCKER_HOST", "DOCKER_CONTEXT", "current context"])
async def test_another_engine(
    docker_client: docker.APIClient,
    make_driver: MakeDriver,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    proxy, config = proxies.Proxy(), tmp_path / "config"
    async with proxies.unix_server(tmp_path / "engine.sock", proxy.serve) as url:
        write_context(config, "elsewhere", url)
        match how:
            case "DOCKER_HOST":
                monkeypatch.setenv("DOCKER_HOST", url)
                monkeypatch.setenv("DOCKER_CONTEXT", "loses against DOCKER_HOST")
            case "DOCKER_CONTEXT":
                monkeypatch.setenv("DOCKER_CONTEXT", "elsewhere")
            case "current context":
                (config / "config.json").write_text('{"currentContext": "elsewhere"}')
        driver = make_driver(url if how == "setting" else None, call_timeout=30)
        await driver.start()
        assert (await driver.info()).version
        assert proxy.connections > 0
        await driver.close()
        proxy.cut()


async def test_over_tcp(docker_client: docker.APIClient, make_driver: MakeDriver) -> None:
    proxy = proxies.Proxy()
    async with proxies.tcp_server(proxy.serve) as url:
        driver = make_driver(url, call_timeout=30)
        await driver.start()
        assert not (await driver.info()).local_files
        assert await driver.inspect(KEY) is None
        events = aiter(driver.events())
        assert await anext(events) == ContainerEvent(None, "connected")
        await events.aclose()  # type: ignore[attr-defined]
        await driver.close()
        proxy.cut()


@pytest.mark.parametrize(
    ("make_url", "text"),
    [
        (lambda path: f"unix://{path}/none.sock", r"none\.sock.*no socket.*start the Docker engine"),
        (lambda path: f"unix://{path}", "engine"),
        (lambda path: "tcp://127.0.0.1:1", r"127\.0\.0\.1:1.*connection refused.*start the Docker engine"),
        (lambda path: "tcp://no-such-host.invalid:2375", r"no-such-host\.invalid.*DOCKER_HOST"),
        (lambda path: "ssh://somewhere", "ssh://.*forwarding"),
        (lambda path: "tcp://", "none that this driver can use"),
    ],
)
async def test_no_engine(
    make_driver: MakeDriver, tmp_path: Path, make_url: Callable[[Path], str], text: str
) -> None:
    driver = make_driver(make_url(tmp_path))
    began = time.monotonic()
    with pytest.raises(EngineUnavailable, match=text) as caught:
        await driver.start()
    assert caught.value.reason == "EngineUnavailable"
    assert caught.value.retry
    with pytest.raises(EngineUnavailable):
        await driver.inspect(KEY)
    assert time.monotonic() - began < LIMIT


async def test_a_context_that_is_not_there(make_driver: MakeDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONTEXT", "missing")
    with pytest.raises(EngineUnavailable, match=r"missing.*DOCKER_CONTEXT.*docker context ls"):
        await make_driver().start()


def test_a_socket_that_this_user_may_not_use(tmp_path: Path) -> None:
    """In a process of its own, as nobody, since this suite may run as root."""
    if os.geteuid() != 0:
        pytest.skip("needs root to become somebody else")
    script = """
import asyncio, os, socket, sys
server = socket.socket(socket.AF_UNIX); server.bind(sys.argv[1]); server.listen()
os.chmod(sys.argv[1], 0o600)
from pathlib import Path
from e2e_controller.drivers.docker import DockerDriver
async def main():
    try:
        await DockerDriver("x", engine="unix://" + sys.argv[1], state_dir=Path("/"), call_timeout=2).start()
    except Exception as error:
        print(type(error).__name__, error)
os.setgid(65534); os.setuid(65534)
asyncio.run(main())
"""
    folder = tmp_path.parents[-3] / f"e2e-{os.getpid()}"  # such that nobody may go there
    folder.mkdir(mode=0o755)
    try:
        command = [os.sys.executable, "-c", script, str(folder / "engine.sock")]  # type: ignore[attr-defined]
        result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    finally:
        (folder / "engine.sock").unlink(missing_ok=True)
        folder.rmdir()
    assert "EngineUnavailable" in result.stdout, result.stderr
    assert "permission denied" in result.stdout
    assert "group" in result.stdout


VERSION = b'{"ApiVersion": "1.41", "Version": "20.10"}'
HEAD = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


def calls(driver: DockerDriver) -> dict[str, Callable[[], Awaitable[object]]]:
    async def read_logs() -> object:
        return [piece async for piece in driver.logs("id", follow=True)]

    async def copy_out() -> object:
        return [piece async for piece in driver.copy_out("id", "/")]

    return {
        "info": driver.info,
        "inspect": lambda: driver.inspect(KEY),
        "list_containers": driver.list_containers,
        "list_environments": driver.list_environments,
        "ensure_network": lambda: driver.ensure_network("env"),
        "remove_environment": lambda: driver.remove_environment("env"),
        "image_present": lambda: driver.image_present(IMAGE),
        "start_container": lambda: driver.start_container("id"),
        "stop": lambda: driver.stop("id", 0),
        "kill": lambda: driver.kill("id"),
        "pause": lambda: driver.pause("id"),
        "remove": lambda: driver.remove("id"),
        "exec": lambda: driver.exec("id", ["true"]),
        "logs": read_logs,
        "copy_out": copy_out,
    }


class Switch:
    """An engine that answers well at first, and then as it is told."""

    def __init__(self) -> None:
        self.then: proxies.Serve | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        good = HEAD % (b"200 OK", len(VERSION)) + VERSION
        await (self.then or proxies.answer(good))(reader, writer)


async def test_an_engine_that_hangs_from_the_start(make_driver: MakeDriver, tmp_path: Path) -> None:
    async with proxies.unix_server(tmp_path / "engine.sock", proxies.hang) as url:
        driver = make_driver(url)
        began = time.monotonic()
        with pytest.raises(EngineUnavailable, match=r"did not answer within 0\.5 s"):
            await driver.start()
        assert time.monotonic() - began < LIMIT
        await driver.close()


BAD_ANSWERS = {
    "hangs": proxies.hang,
    "speaks no HTTP": proxies.answer(b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n"),
    "sends HTML": proxies.answer(HEAD % (b"200 OK", 13) + b"<html></html>"),
    "says 500": proxies.answer(HEAD % (b"500 Internal Server Error", 23) + b'{"message": "it broke"}'),
    "says 500 without JSON": proxies.answer(HEAD % (b"502 Bad Gateway", 4) + b"oops"),
    "hangs up": proxies.answer(b""),
    "hangs up in its header": proxies.answer(b"HTTP/1.1 200 OK\r\nContent-"),
    "hangs up in its answer": proxies.answer(HEAD % (b"200 OK", 1000) + b'{"Id": '),
    "has an endless header": proxies.answer(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 2**20),
}
CHANGES = {"start_container", "kill", "pause", "remove"}
TOLERABLE = {
    "sends HTML": CHANGES | {"stop", "logs", "copy_out"},
    "hangs up in its header": CHANGES,
    "hangs up in its answer": CHANGES | {"stop"},
}
"""Calls of which only the answer's status counts, and that was good."""


@pytest.mark.parametrize("fault", BAD_ANSWERS)
async def test_an_engine_that_goes_wrong(make_driver: MakeDriver, tmp_path: Path, fault: str) -> None:
    """Each call ends in time, with an error of the driver's that says what happened."""
    switch = Switch()
    async with proxies.unix_server(tmp_path / "engine.sock", switch.serve) as url:
        driver = make_driver(url)
        await driver.start()
        switch.then = BAD_ANSWERS[fault]
        for name, call in calls(driver).items():
            began = time.monotonic()
            result = (await asyncio.gather(call(), return_exceptions=True))[0]
            assert time.monotonic() - began < LIMIT, name
            if name in TOLERABLE.get(fault, ()) and not isinstance(result, Exception):
                continue
            assert isinstance(result, DriverError), (name, result)
            if "500" in fault:
                assert "it broke" in str(result) or "oops" in str(result), name
            else:
                assert isinstance(result, EngineUnavailable), (name, result)
                assert "engine.sock" in str(result)
        await driver.close()


async def test_many_calls_to_a_hung_engine_all_end(make_driver: MakeDriver, tmp_path: Path) -> None:
    """More than there are threads: their time counts from when they have one."""
    switch = Switch()
    async with proxies.unix_server(tmp_path / "engine.sock", switch.serve) as url:
        driver = make_driver(url)
        await driver.start()
        switch.then = proxies.hang
        results = await asyncio.gather(*(driver.inspect(KEY) for _ in range(40)), return_exceptions=True)
        assert all(isinstance(result, EngineUnavailable) for result in results)
        switch.then = None
        with pytest.raises(DriverError):
            await driver.inspect(KEY)  # a version is no container, but it is an answer


async def test_no_engine_at_first(
    docker_client: docker.APIClient, make_driver: MakeDriver, tmp_path: Path
) -> None:
    """A driver whose start failed works once the engine is there."""
    driver, proxy = make_driver(f"unix://{tmp_path}/engine.sock", call_timeout=30), proxies.Proxy()
    with pytest.raises(EngineUnavailable):
        await driver.start()
    async with proxies.unix_server(tmp_path / "engine.sock", proxy.serve):
        assert await driver.inspect(KEY) is None
        await driver.close()
        proxy.cut()


async def test_events_come_back(docker_client: docker.APIClient, docker_bench: Bench, tmp_path: Path) -> None:
    """After the engine was away; and then it is said that something may have been missed."""
    proxy, socket = proxies.Proxy(), tmp_path / "engine.sock"
    driver = DockerDriver(docker_bench.controller_id, engine=f"unix://{socket}", state_dir=tmp_path)
    seen: list[ContainerEvent] = []

    async def follow() -> None:
        async for event in driver.events():
            seen.append(event)

    following = asyncio.create_task(follow())
    try:
        async with proxies.unix_server(socket, proxy.serve):
            await eventually(lambda: later(seen), lambda found: found == [ContainerEvent(None, "connected")])
            proxy.cut()
            await eventually(
                lambda: later(seen), lambda found: found[1:] == [ContainerEvent(None, "reconnected")]
            )
        proxy.cut()
        socket.unlink(missing_ok=True)
        await docker_bench.create()
        async with proxies.unix_server(socket, proxy.serve):
            await eventually(lambda: later(seen), lambda found: len(found) >= 3)
            assert seen[2] == ContainerEvent(None, "reconnected")
            await docker_bench.create("second")
            await eventually(lambda: later(seen), lambda found: len(found) >= 4)
            assert seen[3] == ContainerEvent(docker_bench.key("second"), "create")
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            await driver.close()
            proxy.cut()
    finally:
        following.cancel()
        await driver.close()


async def later(seen: list[ContainerEvent]) -> list[ContainerEvent]:
    return list(seen)


async def test_logs_and_exec_whose_connection_breaks(docker_bench: Bench, tmp_path: Path) -> None:
    container_id = await docker_bench.up()
    proxy = proxies.Proxy()
    driver = DockerDriver(docker_bench.controller_id, engine=f"unix://{tmp_path}/e.sock", state_dir=tmp_path)
    async with proxies.unix_server(tmp_path / "e.sock", proxy.serve):
        session = await driver.exec(container_id, ["sleep", "1000"])
        ending = asyncio.create_task(finish(session))
        await driver.inspect(docker_bench.key())
        proxy.cut()
        with pytest.raises(TimeoutError):  # the command runs on, and so its exit code is waited for
            await asyncio.wait_for(ending, SHORT)

        talking = await docker_bench.up("talking", command=scripts.TRAP.command)
        logs = aiter(driver.logs(talking, follow=True))
        assert await anext(logs) == Output("stdout", b"ready\n")
        proxy.cut()
        with pytest.raises(EngineUnavailable, match="logs"):
            await asyncio.wait_for(anext(logs), LIMIT)
        await driver.close()
        proxy.cut()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CA, and with its signature certificates of server and client; as `docker` wants them named."""
    folder = tmp_path_factory.mktemp("certificates")
    new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]

    def run(*command: str) -> None:
        subprocess.run(command, cwd=folder, check=True, capture_output=True)

    try:
        run(*new, "-keyout", "ca-key.pem", "-out", "ca.pem", "-subj", "/CN=e2e test CA")
    except FileNotFoundError:
        pytest.skip("needs openssl")
    signed = ("-CA", "ca.pem", "-CAkey", "ca-key.pem")
    name = ("-addext", "subjectAltName=IP:127.0.0.1")
    run(*new, *signed, "-keyout", "server-key.pem", "-out", "server.pem", "-subj", "/CN=engine", *name)
    run(*new, *signed, "-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=client")
    return folder


def server_context(certificates: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(certificates / "ca.pem"))
    context.verify_mode = ssl.CERT_REQUIRED
    context.options |= ssl.OP_IGNORE_UNEXPECTED_EOF  # as Go's TLS: a bare end of TCP is an end
    context.load_cert_chain(certificates / "server.pem", certificates / "server-key.pem")
    return context


async def test_over_tls(
    docker_bench: Bench,
    make_driver: MakeDriver,
    certificates: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    container_id = await docker_bench.up()
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(certificates))
    with proxies.tls_proxy(server_context(certificates)) as url:
        driver = make_driver(url, call_timeout=30)
        await driver.start()
        session = await driver.exec(container_id, ["cat"], stdin=True)
        block = bytes(range(256)) * 4096

        async def send() -> None:
            for _ in range(8):
                await session.write(block)
            await session.close_stdin()

        sending = asyncio.create_task(send())
        assert await finish(session) == (block * 8, b"", 0)
        await sending
        session = await driver.exec(container_id, ["echo", "hello"])
        assert [piece async for piece in session] == [Output("stdout", b"hello\n"), ExitCode(0)]
        await driver.stop(container_id, 0)
        assert [piece async for piece in driver.logs(container_id)] == []
        await driver.close()


async def test_tls_that_does_not_fit(
    make_driver: MakeDriver, certificates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))
    async with proxies.tcp_server(proxies.hang, server_context(certificates)) as url:
        driver = make_driver(url, call_timeout=5)
        with pytest.raises(EngineUnavailable, match=r"TLS.*DOCKER_CERT_PATH"):
            await driver.start()
