"""The controller as a container: what callers on the host and in other containers have of it.

`make test-image` has all scenarios so; these few are of what is different there.
"""

import os
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from commands import engine_has
from small import BUSYBOX, until_stopped, web_server

import e2e
from e2e import Security, Volume, equals
from tests.contained import Contained, answer, contained
from tests.controller_image import SOCKET, until
from tests.engine import docker_client
from tests.free_ports import free_port

pytestmark = pytest.mark.timeout(1200)
WEB = """
import e2e, json, sys, urllib.request
def page(workload):
    address = workload.endpoint("http")
    with urllib.request.urlopen(f"http://{address}/index.html", timeout=60) as found:
        return address, found.read().decode()
"""
HOLDER = f"""{WEB}
with e2e.Environment(sys.argv[1]) as env:
    web = env.workload(
        "web", image="{BUSYBOX}", command=["httpd", "-f", "-p", "80", "-h", "/www"], ports={{"http": 80}},
        files={{"/www/index.html": "I am web", "/www/metrics": "up 1\\n"}}, metrics="http",
        readiness=e2e.HttpProbe(port="http", path="/index.html"),
    )
    env.start_and_wait_ready(web)
    web.wait_sum_metrics(e2e.equals(1), "up")
    web.write_file("told", "hello")
    told = web.exec(["cat", str(web.dir / "told")]).stdout_text
    print(json.dumps([*page(web), told]))
"""
GUEST = f"""{WEB}
with e2e.Environment.attach(sys.argv[1]) as env:
    found = page(env.get("web"))
    try:
        directory = str(env.get("web").dir)
    except e2e.Unavailable as error:
        directory = error.message
    print(json.dumps([*found, directory]))
"""

MANIFEST = """
apiVersion: e2e/v1
kind: Workload
metadata: {name: web}
spec:
  build: {context: .}
  command: [httpd, -f, -p, "80", -h, /www]
  volumes: [{source: ./data, target: /www, readOnly: true}]
  ports: {http: 80}
  readiness: {http: {port: http, path: /index.html}}
"""


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    words = request.node.name.removeprefix("test_").replace("_", "-")
    return f"{words[:30].strip('-')}-{os.getpid()}"


@pytest.fixture(scope="module")
def controller() -> Iterator[Contained]:
    with contained() as made:
        yield made


def page(workload: e2e.Workload) -> str:
    with urllib.request.urlopen(f"http://{workload.endpoint('http')}/index.html", timeout=60) as found:
        return str(found.read().decode())


def is_known(workload: e2e.Workload) -> bool:
    with suppress(e2e.Unavailable):
        return workload.is_running()
    return False


def test_callers_on_the_host_and_in_a_container_at_the_same_time(controller: Contained, name: str) -> None:
    with e2e.Environment(name, controller=controller.socket) as env:
        web = web_server(env, "web")
        env.start_and_wait_ready(web)
        assert f"e2e-{name}" in controller.networks()
        web.write_file("told", "hello")
        assert web.exec(["cat", str(web.dir / "told")]).stdout_text == "hello"
        web.exec(["sh", "-c", "echo up 1 > /www/metrics"])
        web.wait_sum_metrics(equals(1), "up")
        code, output = controller.run(GUEST, name)
        assert code == 0, output
        address, text, directory = answer(output)
        assert (text, directory) == ("I am web\n", str(web.dir))
        assert address.startswith("10.")
        assert web.endpoint("http").startswith("127.0.0.1:")
        assert page(web) == "I am web\n"
    assert f"e2e-{name}" not in controller.networks()
    assert engine_has(name) == []


def test_an_environment_of_a_test_container(controller: Contained, name: str) -> None:
    code, output = controller.run(HOLDER, name)
    assert code == 0, output
    address, text, told = answer(output)
    assert (text, told) == ("I am web", "hello")
    assert address.endswith(":80")
    assert engine_has(name) == []


def test_what_a_test_container_does_not_have_is_told(controller: Contained, name: str) -> None:
    with e2e.Environment(name, controller=controller.socket) as env:
        env.start_and_wait_ready(web_server(env, "web"))
        code, output = controller.run(GUEST, name, volumes={})
        assert code == 0, output
        assert f"`docker run -v {controller.base}:{controller.base} ...`" in answer(output)[2]
        on_host = {"network": None, "network_mode": "host"}
        places = {str(controller.base): {"bind": str(controller.base)}}
        variables = {"E2E_CONTROLLER": controller.socket}
        code, output = controller.run(GUEST, name, **on_host, volumes=places, environment=variables)
        assert code == 0, output
        assert answer(output)[0] == env.get("web").endpoint("http")


def test_nobody_is_told_of_another_container(controller: Contained, name: str) -> None:
    """Over TCP, what a caller says of itself has to fit where it comes from."""
    lie = 'import e2e.standing\ne2e.standing.caller_metadata = lambda: (("e2e-caller", "container " + '
    program = f"{lie}sys.argv[2]),)\n".replace("import", "import sys\nimport", 1) + GUEST
    with e2e.Environment(name, controller=controller.socket) as env:
        env.start_and_wait_ready(web_server(env, "web"))
        code, output = controller.run(program, name, str(controller.container.id))
    assert code == 1
    assert "which is no address of container" in output


def test_one_that_is_killed_is_back_where_it_was(name: str) -> None:
    with contained("--recovery-grace=60") as controller:
        with e2e.Environment(name, controller=controller.socket) as env:
            web = web_server(env, "web")
            env.start_and_wait_ready(web)
            before = web.status().container
            controller.kill()
            controller.container.start()
            controller.wait_serving()
            until(lambda: is_known(web), controller.container)  # whose connection had failed meanwhile
            web.wait_ready()
            assert web.status().container == before
            web.exec(["sh", "-c", "echo up 1 > /www/metrics"])
            web.wait_sum_metrics(equals(1), "up")
        assert engine_has(name) == []


def test_a_network_that_went_while_it_was_down_does_not_keep_it_from_starting(name: str) -> None:
    with contained() as controller:
        with e2e.Environment(name, controller=controller.socket, keep=True) as env:
            env.start_and_wait_ready(web_server(env, "web"))
        controller.kill()
        with docker_client() as engine:
            engine.containers.get(f"{name}.web").remove(force=True)
            network = engine.networks.get(f"e2e-{name}")
            network.disconnect(controller.container.id, force=True)
            network.remove()
        controller.container.start()
        controller.wait_serving()
        with e2e.Environment.attach(name, controller=controller.socket) as env:
            web = env.get("web")
            web.wait_ready()
            assert page(web) == "I am web\n"


def test_what_stands_beside_a_manifest_is_found_on_the_host(name: str) -> None:
    """The folder is mounted at another path, and read-only; the image is built of it, too."""
    with tempfile.TemporaryDirectory(prefix="e2e-") as folder:
        place = Path(folder, name)
        (place / "data").mkdir(parents=True)
        (place / "data" / "index.html").write_text("I am web\n")
        (place / "Dockerfile").write_text(f"FROM {BUSYBOX}\nCOPY web.yaml /\n")
        (place / "web.yaml").write_text(MANIFEST)
        places = {folder: {"bind": "/manifests", "mode": "ro"}}
        with (
            contained("--policy=permissive", "--folder=/manifests", volumes=places) as controller,
            e2e.Environment.attach(name, controller=controller.socket) as env,
        ):
            web = env.get("web", wait=60)
            web.wait_ready()
            assert page(web) == "I am web\n"
            assert "kind: Workload" in web.exec(["cat", "/web.yaml"]).stdout_text


def test_on_the_hosts_network(name: str) -> None:
    with (
        contained(port=free_port(), network=None, network_mode="host") as controller,
        e2e.Environment(name, controller=controller.socket) as env,
    ):
        web = web_server(env, "web")
        env.start_and_wait_ready(web)
        assert page(web) == "I am web\n"
        assert controller.networks() == {"host"}


def test_it_is_restricted_unless_it_is_told_otherwise(controller: Contained, name: str) -> None:
    """By what it sees itself: of the host, what is mounted into its own container."""
    secret = controller.base / "state" / "manifests"
    with e2e.Environment(name, controller=controller.socket) as env:
        for path in ("/etc", "/", str(SOCKET), str(secret), str(controller.base)):
            bad = env.workload("bad", image=BUSYBOX, volumes=[Volume(source=path, target="/x")])
            with pytest.raises(e2e.PolicyDenied, match="policy rule hostPaths denies"):
                bad.start()
        bad = env.workload("bad", image=BUSYBOX, security=Security(privileged=True))
        with pytest.raises(e2e.PolicyDenied, match="policy rule privileged denies"):
            bad.start()
        whole = [Volume(source=str(env.shared_dir), target="/whole")]
        good = env.workload("good", image=BUSYBOX, command=until_stopped(), volumes=whole)
        env.start_and_wait_ready(good)
        assert good.exec(["touch", "/whole/there"]).exit_code == 0
        assert (env.shared_dir / "there").exists()
    assert engine_has(name) == []
