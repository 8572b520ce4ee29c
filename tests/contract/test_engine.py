"""Finding the engine."""

import hashlib
import json
import os
import platform
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import docker
import pytest

from e2e_controller.drivers.base import (
    ContainerEvent,
    EngineUnavailable,
    Key,
)
from e2e_controller.drivers.docker.endpoint import find_endpoint
from tests.contract import proxies
from tests.contract.bench import MakeDriver

ENGINE = find_endpoint(None, os.environ)
KEY = Key("env", "Workload", "web")


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
        (lambda path: "tcp://no-such-host.invalid:2375", r"host name that is not known.*correct DOCKER_HOST"),
        (lambda path: "tcp://", "none that this driver can use"),
    ],
)
async def test_no_engine(
    make_driver: MakeDriver, tmp_path: Path, make_url: Callable[[Path], str], text: str
) -> None:
    driver = make_driver(make_url(tmp_path), call_timeout=60)  # who waits for that is told another text
    with pytest.raises(EngineUnavailable, match=text) as caught:
        await driver.start()
    assert caught.value.reason == "EngineUnavailable"
    assert caught.value.retry
    with pytest.raises(EngineUnavailable):
        await driver.inspect(KEY)


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
        await DockerDriver("x", engine="unix://" + sys.argv[1], state_dir=Path("/"), call_timeout=30).start()
    except Exception as error:
        print(type(error).__name__, error)
os.setgid(65534); os.setuid(65534)
asyncio.run(main())
"""
    folder = Path(tempfile.mkdtemp(prefix="e2e-", dir=tmp_path.parents[-3]))
    folder.chmod(0o755)  # such that nobody may go there
    try:
        command = [os.sys.executable, "-c", script, str(folder / "engine.sock")]  # type: ignore[attr-defined]
        result = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)
    finally:
        (folder / "engine.sock").unlink(missing_ok=True)
        folder.rmdir()
    assert "EngineUnavailable" in result.stdout, result.stderr
    assert "permission denied" in result.stdout
    assert "group" in result.stdout
