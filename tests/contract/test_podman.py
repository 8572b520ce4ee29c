"""Podman's Docker-compatible API, at the other end of a cable; docs/engines.md tells what differs."""

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, suppress
from pathlib import Path

import docker
import pytest
from docker.errors import APIError

from e2e_controller.drivers.base import ContainerNotRunning, ContainerPhase, FileContent, PortSpec
from tests.contract.bench import IMAGE, Bench, eventually
from tests.contract.conftest import docker_bench_on
from tests.faults.engine import unmount_below
from tests.other_machine import SEARCH_PATH, cable, wait_for

_PORT = 2375
_ALONE = (
    "unshare",
    "--mount",
    "--propagation",
    "private",
    "sh",
    "-c",
    'mount -t tmpfs none /run && exec "$@"',
    "-",
)
"""With a /run of its own: servers of names are told apart by a file there."""
_CONFIGURATION = """
[containers]
log_driver = "k8s-file"
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
runtime = "{runtime}"
cgroup_manager = "cgroupfs"
events_logger = "file"
tmp_dir = "{base}/tmp"
lock_type = "file"
helper_binaries_dir = ["/usr/libexec/podman", "/usr/lib/podman"]
[network]
network_backend = "{backend}"
network_config_dir = "{base}/networks"
"""
"""Limits that nobody refuses; no systemd; and folders of its own."""


@pytest.fixture(scope="module")
def podman(docker_client: docker.APIClient) -> Iterator[docker.APIClient]:
    """One that runs containers; its client."""
    program = shutil.which("podman", path=SEARCH_PATH)
    runtime = next(filter(None, (shutil.which(name, path=SEARCH_PATH) for name in ("runc", "crun"))), None)
    if program is None or runtime is None or os.geteuid() != 0:
        pytest.skip("needs Podman, runc or crun, and root")
    image = b"".join(docker_client.get_image(IMAGE))
    with tempfile.TemporaryDirectory(prefix="e2e-", ignore_cleanup_errors=True) as folder:
        base = Path(folder)
        (base / "containers.conf").write_text(
            _CONFIGURATION.format(base=base, runtime=Path(runtime).name, backend=_backend())
        )
        with cable() as (address, enter):
            url = f"tcp://{address}:{_PORT}"
            places = ("--root", f"{base}/root", "--runroot", f"{base}/run", "--storage-driver", "vfs")
            command = [*enter, *_ALONE, program, *places, "system", "service", "--time", "0", url]
            environment = {**os.environ, "PATH": SEARCH_PATH, "CONTAINERS_CONF": f"{base}/containers.conf"}
            with (base / "log").open("wb") as log:
                service = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
            try:
                wait_for(address, _PORT, base / "log")
                with closing(docker.APIClient(url, version="auto", timeout=60)) as client:
                    _load(client, image)
                    yield client
            finally:
                service.terminate()
                service.wait()
                _end_what_is_left(str(base))


def _end_what_is_left(base: str) -> None:
    """Each exec leaves a process that waits for five minutes; and there is the server of names."""
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            program, *words = (entry / "cmdline").read_text(errors="replace").split("\0")
            ours = Path(program).name in ("conmon", "aardvark-dns") and any(base in word for word in words)
            if ours:
                os.kill(int(entry.name), signal.SIGKILL)
    unmount_below(Path(base))


def _backend() -> str:
    """What gives containers names: netavark with aardvark-dns; Debian's CNI has nothing for that."""
    folders = ("/usr/libexec/podman", "/usr/lib/podman")
    return "netavark" if any(Path(folder, "netavark").exists() for folder in folders) else "cni"


def _load(client: docker.APIClient, image: bytes) -> None:
    list(client.load_image(image))
    (loaded,) = client.images()
    client.tag(loaded["Id"], "docker.io/library/busybox", "1.36")
    container = client.create_container(
        IMAGE, ["true"], host_config=client.create_host_config(network_mode="none")
    )
    try:
        client.start(container["Id"])
    except APIError as error:
        pytest.skip(f"Podman runs no containers here: {error.explanation}")
    finally:
        client.remove_container(container["Id"], force=True)


@pytest.fixture
async def bench(
    podman: docker.APIClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Bench]:
    monkeypatch.setenv("DOCKER_HOST", podman.base_url.replace("http://", "tcp://"))
    async with docker_bench_on(podman, tmp_path) as made:
        yield made


async def answer_of(bench: Bench) -> bytes:
    """What the published port answers, asked from here."""
    found = await bench.look()
    address = f"http://{found.host_address}:{found.host_ports['8080/tcp']}/index.html"

    def ask() -> bytes:
        try:
            with urllib.request.urlopen(address, timeout=30) as response:
                return bytes(response.read())
        except OSError:
            return b""

    return await asyncio.to_thread(ask)


async def test_workloads_find_each_other_by_name(bench: Bench) -> None:
    if _backend() == "cni":
        pytest.skip("needs netavark and aardvark-dns")
    await bench.up("web", command=("httpd", "-f", "-p", "8080", "-h", "/etc"))
    asking = await bench.up("asking")

    async def ask() -> bytes:
        answer, _, _ = await bench.run(asking, "wget", "-q", "-O", "-", "http://web:8080/passwd")
        return answer

    assert b"root" in await eventually(ask, bool)


async def test_what_it_is(bench: Bench) -> None:
    info = await bench.driver.info()
    assert info.program == "Podman"
    assert info.version


async def test_a_life(bench: Bench) -> None:
    events = aiter(bench.driver.events())
    assert (await anext(events)).action == "connected"
    container_id = await bench.create(
        command=("httpd", "-f", "-p", "8080", "-h", "/www"),
        ports={"http": PortSpec(8080)},
        files=(FileContent("/www/index.html", b"hello"),),
        env={"WORD": "x y"},
        memory=64 * 2**20,
    )
    assert (await anext(events)).key == bench.key()
    await bench.driver.start_container(container_id)
    found = await bench.look()
    assert found.phase is ContainerPhase.RUNNING
    assert found.network_id == await bench.driver.inspect_network(bench.environment)
    assert await bench.run(container_id, "sh", "-c", "cat /www/index.html; echo $WORD >&2; exit 3") == (
        b"hello",
        b"x y\n",
        3,
    )
    assert await eventually(lambda: answer_of(bench), bool) == b"hello"
    await bench.driver.pause(container_id)
    assert (await bench.look()).phase is ContainerPhase.PAUSED
    await bench.driver.stop(container_id, 0)
    ended = await bench.ended()
    assert ended.exit_code == 137
    await bench.driver.kill(container_id)
    with pytest.raises(ContainerNotRunning):
        await bench.driver.exec(container_id, ["true"])
    await bench.driver.start_container(container_id)
    again = await bench.look()
    assert (again.id, again.phase) == (container_id, ContainerPhase.RUNNING)
    assert again.host_ports == found.host_ports
    await bench.driver.remove(container_id)
    await bench.driver.remove_environment(bench.environment)
    assert not await bench.driver.list_containers()
    assert not await bench.driver.list_environments()
    await events.aclose()  # type: ignore[attr-defined]
