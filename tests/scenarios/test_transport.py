"""A controller behind TLS and tokens, on real containers: from Python, a terminal, another language."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from apis import until
from controllers import Controller
from small import web_server

import e2e
from e2e import certificates, equals

ROOT = Path(__file__).resolve().parents[2]
TOKENS = {"admin": "", "team": "environments: [team-]", "reader": "readOnly: true"}
NPM, NODE = shutil.which("npm"), shutil.which("node")


@dataclass(frozen=True)
class Guarded:
    """A controller over TCP, and the folder with what opens it."""

    address: str
    folder: Path

    def named(self, token: str) -> e2e.Controller:
        return e2e.Controller(self.address, token_file=self.folder / token, ca_file=self.folder / "ca.crt")

    def variables(self, token: str) -> Mapping[str, str]:
        files = {"E2E_TOKEN_FILE": self.folder / token, "E2E_CA_FILE": self.folder / "ca.crt"}
        return {**os.environ, "E2E_CONTROLLER": self.address} | {
            name: str(path) for name, path in files.items()
        }


@pytest.fixture(scope="module")
def guarded() -> Iterator[Guarded]:
    with tempfile.TemporaryDirectory(prefix="e2e-") as base:
        folder = Path(base, "secret")
        certificates.make(folder, ["localhost"], client="ci", days=1)
        lines = []
        for name, scope in TOKENS.items():
            (folder / name).write_text(f"{name}-of-the-tests-{os.urandom(8).hex()}\n")
            lines.append(f"- {{name: {name}, tokenFile: {name}{', ' if scope else ''}{scope}}}\n")
        (folder / "tokens.yaml").write_text("".join(lines))
        for path in folder.iterdir():
            path.chmod(0o600)
        pair = [f"--tls-cert={folder}/server.crt", f"--tls-key={folder}/server.key"]
        # On all addresses of this machine, which it does without --insecure.
        options = ["--listen=0.0.0.0:0", *pair, f"--tokens={folder}/tokens.yaml"]
        controller = Controller(Path(base), options)
        try:
            (port,) = re.findall(r"serving gRPC on .*0\.0\.0\.0:(\d+)", controller.log())
            yield Guarded(f"localhost:{port}", folder)
            assert "insecure" not in controller.log()
        finally:
            controller.stop()


def environment_name(kind: str) -> str:
    return f"{kind}-{os.getpid()}"


def test_a_story_over_tls(guarded: Guarded) -> None:
    team = guarded.named("team")
    with e2e.Environment(environment_name("team"), controller=team) as env:
        web = web_server(env, "web")
        web.start_and_wait_ready()
        web.exec(["sh", "-c", "echo 'visits 3' > /www/metrics"])
        web.wait_sum_metrics(equals(3), "visits")
        until(web.logs, lambda written: "serving" in written)
        with e2e.Client.connect(guarded.named("reader")) as reader:
            assert [found.environment for found in reader.list_environments()] == [env.name]
            with pytest.raises(e2e.PermissionDenied, match="may only read"):
                reader.delete_environment(env.name)
        attached = e2e.Environment.attach(env.name, controller=guarded.named("reader"))
        with attached, pytest.raises(e2e.PermissionDenied):
            attached.get("web").exec(["true"])
    with pytest.raises(e2e.PermissionDenied, match="does not reach environment"):
        e2e.Environment(environment_name("other"), controller=team).start()


def test_the_command_line_over_tls(guarded: Guarded) -> None:
    def run(token: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).with_name("e2e")), *arguments]
        return subprocess.run(
            command, env=guarded.variables(token), capture_output=True, text=True, timeout=60, check=False
        )

    assert run("team", "get").returncode == 0
    assert "may only read" in run("reader", "delete", "environment/team-none").stderr
    with_flags = [
        *("--controller", f"grpcs://{guarded.address}", "--ca-file", str(guarded.folder / "ca.crt")),
        *("--token-file", str(guarded.folder / "admin")),
    ]
    assert run("reader", *with_flags, "get").returncode == 0
    (guarded.folder / "unknown").write_text("unknown-0123456789abcdef\n")
    for token, message in (
        ("unknown", "the token is none"),
        ("ca.crt", "ca.crt (E2E_TOKEN_FILE) has no token"),
    ):
        unknown = run(token, "get")
        assert unknown.returncode == 1
        assert message in unknown.stderr
        assert "E2E_TOKEN_FILE" in unknown.stderr
        assert len(unknown.stderr.splitlines()) == 1


@pytest.mark.timeout(600)
@pytest.mark.skipif(NODE is None or NPM is None, reason="needs Node.js and npm")
def test_a_client_in_another_language(guarded: Guarded, tmp_path: Path) -> None:
    folder = tmp_path / "client"
    shutil.copytree(ROOT / "examples" / "node", folder, ignore=shutil.ignore_patterns("node_modules"))
    patience = ["--fetch-retries", "1", "--fetch-timeout", "30000"]
    install = [str(NPM), "ci", "--no-audit", "--no-fund", "--ignore-scripts", *patience]
    try:
        installed = subprocess.run(
            install, cwd=folder, capture_output=True, text=True, timeout=240, check=False
        )
    except subprocess.TimeoutExpired:
        pytest.skip("npm cannot install what the client needs in time")
    if installed.returncode:
        pytest.skip(f"npm cannot install what the client needs: {installed.stderr.strip()[-300:]}")
    done = subprocess.run(
        [str(NODE), "client.mjs", environment_name("team")],
        cwd=folder,
        env={**guarded.variables("team"), "E2E_PROTO": str(ROOT / "proto")},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(
        r"ready at 127\.0\.0\.1:\d+\nvisits 7\nexit code 0, \d+ bytes\ndeleted\n"
        r"elsewhere: PERMISSION_DENIED\n",
        done.stdout,
    ), done.stdout
