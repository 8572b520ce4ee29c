import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from setup import debian, go_programs, images, recipes, tries
from setup.dockerd import Way, _next_way
from setup.endpoint import EndpointError, find_endpoint, ping
from setup.locks import LockTimeoutError, exclusive
from setup.recipes import RecipeError, Reference


@pytest.fixture(autouse=True)
def no_engine_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_TLS", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("busybox:1.36", "docker.io/library/busybox:1.36"),
        ("docker.io/busybox:1.36", "docker.io/library/busybox:1.36"),
        ("minio/minio:v1", "docker.io/minio/minio:v1"),
        ("quay.io/thanos/thanos:v0.38.0", "quay.io/thanos/thanos:v0.38.0"),
        ("localhost/a:1", "localhost/a:1"),
        ("127.0.0.1:5001/a/b", "127.0.0.1:5001/a/b:latest"),
    ],
)
def test_a_reference_is_read_as_the_docker_command_reads_it(text: str, whole: str) -> None:
    assert str(Reference.parse(text)) == whole


@pytest.mark.parametrize("text", ["", "Busybox", "a b", "busybox@sha256:00", "quay.io/"])
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(RecipeError):
        Reference.parse(text)


def test_every_recipe_is_complete_and_builds_a_reference_of_its_own() -> None:
    every = list(recipes.all_recipes())
    assert len({recipe.reference for recipe in every}) == len(every) > 0
    assert all(recipes.find(recipe.reference) == recipe for recipe in every)


@pytest.mark.parametrize("file", sorted(recipes.FOLDER.glob("*/go.mod")), ids=lambda file: file.parent.name)
def test_a_program_of_our_own_is_over_the_version_that_the_image_claims(file: Path) -> None:
    go = recipes.load(file.parent).go
    assert go is not None
    assert f"module {go.package}\n" in file.read_text()
    assert f"{go.module} {go.version}\n" in file.read_text()
    assert f"{go.module} {go.version} h1:" in (file.parent / "go.sum").read_text()


def test_a_recipe_with_an_unknown_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text('reference = "a:1"\nversion_of = "a"\npackage = ["a"]\n')
    with pytest.raises(RecipeError, match=r"unknown keys \['package'\]"):
        recipes.load(tmp_path)


def test_the_digest_follows_every_file_of_the_recipe(tmp_path: Path) -> None:
    folder = shutil.copytree(recipes.FOLDER / "prometheus", tmp_path / "prometheus")
    before = recipes.load(folder).digest
    assert before == recipes.load(recipes.FOLDER / "prometheus").digest
    (folder / "rootfs/etc/prometheus/prometheus.yml").write_text("{}")
    assert recipes.load(folder).digest != before


def test_the_image_says_what_upstreams_says() -> None:
    recipe = recipes.load(recipes.FOLDER / "prometheus")
    assert images._instructions(recipe, {"a": 'b"c'}) == [
        'LABEL a="b\\"c"',
        "EXPOSE 9090",
        "WORKDIR /prometheus",
        "USER nobody",
        'ENTRYPOINT ["/bin/prometheus"]',
        'CMD ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"]',
    ]


def test_the_version_is_upstreams_not_debians() -> None:
    recipe = recipes.load(recipes.FOLDER / "prometheus")
    origin = images._origin(recipe, {"prometheus": "1:2.42.0+ds-5+deb12u1"})
    assert origin == ("2.42.0", "Debian's prometheus 2.42.0")


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ({"Old": {"Path": "a"}, "New": {"Path": "b", "Version": "v1"}}, "a=b@v1"),
        ({"Old": {"Path": "a", "Version": "v2"}, "New": {"Path": "b", "Version": "v1"}}, "a@v2=b@v1"),
    ],
)
def test_a_replacement_is_copied_as_go_wants_it(line: dict[str, dict[str, str]], text: str) -> None:
    assert go_programs._replacement(line) == text


def test_an_engine_that_is_silent_or_absent_is_told_from_one_that_answers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "engine.sock"
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    with pytest.raises(EndpointError, match="No such file"):
        ping(find_endpoint(), 0.1)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        with pytest.raises(EndpointError, match="timed out"):
            ping(find_endpoint(), 0.1)
        server.accept()[0].close()
        answer = threading.Thread(target=_answer, args=[server])
        answer.start()
        ping(find_endpoint(), 60)
        answer.join()


def _answer(server: socket.socket) -> None:
    with server.accept()[0] as connection:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK")


def test_the_daemon_is_started_otherwise_only_where_that_is_known_to_help(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/sbin/{name}")
    no_iptables = "failed to start daemon: Error initializing network controller: iptables failed"
    no_storage = "failed to start daemon: error initializing graphdriver: not supported"
    assert _next_way(Way(), no_iptables) == Way(legacy_iptables=True)
    assert _next_way(Way(legacy_iptables=True), no_storage) == Way(storage="vfs", legacy_iptables=True)
    assert _next_way(Way(legacy_iptables=True), no_iptables) is None
    assert _next_way(Way(), "failed to start daemon: no such option") is None


def test_a_held_lock_names_its_holder(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with (
        exclusive(lock, 1),
        pytest.raises(LockTimeoutError, match=r"process \d+ has held"),
        exclusive(lock, 0.2),
    ):
        pass
    with exclusive(lock, 0):
        pass


TOOLS = Path(__file__).parents[2] / "tools"
ENVIRONMENT = dict(os.environ)
"""As it is for this run; each test has one with no engine named."""


def tool(name: str, *arguments: str, **variables: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, str(TOOLS / name), *arguments],
        env={**ENVIRONMENT, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_an_engine_behind_ssh_that_does_not_answer_is_told() -> None:
    process = tool("engine.py", DOCKER_HOST="ssh://127.0.0.1:1")
    _, said = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "ssh://127.0.0.1:1 (DOCKER_HOST)" in said
    assert "Traceback" not in said


def test_the_same_tool_twice_at_once() -> None:
    """As two processes; what is there already is found by both."""
    for name, arguments in (("engine.py", ()), ("images.py", ("docker.io/library/busybox:1.36",))):
        both = [tool(name, *arguments) for _ in range(2)]
        for process in both:
            said = "".join(process.communicate(timeout=120))
            assert process.returncode == 0, said
            assert "answers" in said or "present" in said


def test_work_that_two_processes_begin_at_once_is_done_once(tmp_path: Path) -> None:
    """The second waits for the first, says so, and then finds it done."""
    script = f"""
import sys, time
from pathlib import Path
sys.path.insert(0, {str(TOOLS)!r})
from setup.locks import exclusive
done = Path({str(tmp_path)!r}, "done")
if not done.exists():
    with exclusive(Path({str(tmp_path)!r}, "lock"), 100):
        if not done.exists():
            while not done.with_name("enough").exists():
                time.sleep(0.05)
            done.open("x").close()
            print("did it")
"""
    said = [tmp_path / f"said-{number}" for number in range(2)]
    both = []
    for path in said:
        with path.open("w") as file:
            command = [sys.executable, "-c", script]
            both.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=file, text=True))
    deadline = time.monotonic() + 60
    while waits(said) == 0 and time.monotonic() < deadline:
        time.sleep(0.05)
    (tmp_path / "enough").touch()
    outputs = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], [path.read_text() for path in said]
    assert sorted(outputs) == ["", "did it\n"]
    assert waits(said) == 1


def waits(said: list[Path]) -> int:
    return sum("which is at the same work" in path.read_text() for path in said)


LOCKED = """#!/bin/sh
cd {folder} && echo "$@" >> asked && [ -e freed ] && exit 0
touch freed
echo "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 1 (apt-get)"
exit 100
"""
OLD = """#!/bin/sh
cd {folder} && echo "$@" >> asked
case "$*" in *" update") touch updated ;; esac
[ -e updated ] || {{ echo "E: Failed to fetch http://mirror.example/a.deb  404  Not Found"; exit 100; }}
"""


def asked_of_apt(script: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The last word of all that such an apt is asked when something is installed."""
    (folder / "apt-get").write_text(script.format(folder=folder))
    (folder / "apt-get").chmod(0o755)
    (folder / "mirror_Packages").touch()
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    monkeypatch.setattr(debian, "LISTS", folder)
    monkeypatch.setattr(debian, "is_root", lambda: True)
    debian.install(["a"], "this test")
    return [line.split()[-1] for line in (folder / "asked").read_text().splitlines()]


def test_what_another_apt_has_locked_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked_of_apt(LOCKED, tmp_path, monkeypatch) == ["a", "a"]


def test_lists_that_are_old_are_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked_of_apt(OLD, tmp_path, monkeypatch) == ["a", "update", "a"]


def test_what_fails_once_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tries, "PAUSES", (0.0, 0.0))
    failures: list[Exception] = [debian.PackageError("first"), debian.PackageError("second")]

    def fetch() -> str:
        if failures:
            raise failures.pop(0)
        return "fetched"

    assert tries.patiently(fetch, debian.PackageError) == "fetched"
    assert "second\nonce more in 0 s" in capsys.readouterr().err
    failures += [ValueError("another kind")]
    with pytest.raises(ValueError, match="another kind"):
        tries.patiently(fetch, debian.PackageError)
    failures += [debian.PackageError(text) for text in ("first", "second", "third")]
    with pytest.raises(debian.PackageError, match="third"):
        tries.patiently(fetch, debian.PackageError)
