"""Secrets on the real engine: the program has them, and nothing of ours shows them."""

import os
import tarfile
import time
from pathlib import Path

import pytest
from apis import until
from controllers import Controller
from small import BUSYBOX, until_stopped

import e2e
from tests.engine import docker_client

SENT, KEPT = "sent-by-the-test", "kept beside the manifest"
MANIFEST = f"""\
apiVersion: e2e/v1
kind: Workload
metadata: {{name: box, environment: %s}}
spec:
  image: {BUSYBOX}
  command: [sleep, "600"]
  env: {{KEPT: {{valueFrom: {{file: secrets/kept}}}}}}
"""


def test_a_secret_reaches_the_program_and_nobody_else(
    e2e_environment: e2e.Environment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OF_THE_TEST", SENT)
    secret = e2e.secret_from_env("OF_THE_TEST")
    mine = e2e.SecretFile(path="/etc/keys/of-77", from_=secret, mode=0o400, uid=77)
    box = e2e_environment.workload(
        "box",
        image=BUSYBOX,
        user="nobody",
        command=until_stopped("echo the secret is $OF_PROGRAM"),
        env={"OF_PROGRAM": secret},
        secret_files=[e2e.SecretFile(path="/run/secrets/db", from_=secret), mine],
    )
    box.start_and_wait_ready()
    assert box.exec(["cat", "/run/secrets/db"]).stdout_text == SENT
    assert box.exec(["sh", "-c", "echo $OF_PROGRAM"]).stdout_text.strip() == SENT
    assert box.exec(["stat", "-c", "%a %U", "/run/secrets/db"]).stdout_text == "400 nobody\n"
    assert box.exec(["cat", "/etc/keys/of-77"], check=False).exit_code == 1
    assert box.exec(["cat", "/etc/keys/of-77"], user="77").stdout_text == SENT
    until(box.logs, lambda written: SENT in written)  # what a program writes is its own
    with docker_client() as client:
        labels = client.containers.get(f"{e2e_environment.name}.box").labels
    assert SENT not in str(labels)
    bundle = e2e_environment.bundle(tmp_path / "bundle.tar.gz")
    with tarfile.open(bundle) as archive:
        contents = {
            member.name: archive.extractfile(member).read()  # type: ignore[union-attr]
            for member in archive
            if member.isfile()
        }
    assert [name for name, content in contents.items() if SENT.encode() in content] == []
    (log,) = [content for name, content in contents.items() if name.endswith("logs/box.log")]
    assert b"the secret is ********" in log


@pytest.fixture
def options() -> list[str]:
    return ["--rescan-interval=200ms"]


def test_a_secret_beside_a_manifest_may_come_later(controller: Controller) -> None:
    environment = f"secrets-{os.getpid()}"
    (controller.folder / "box.yaml").write_text(MANIFEST % environment)
    with e2e.Environment.attach(environment, controller=controller.address) as env:
        box = env.get("box", wait=60)
        with pytest.raises(e2e.WaitFailed, match="SecretNotFound: there is no file"):
            box.wait_ready(timeout=60)
        coming = controller.folder / "coming"  # all at once: it shall not be seen half written
        coming.mkdir()
        (coming / "kept").write_text(f"{KEPT}\n")
        coming.rename(controller.folder / "secrets")
        deadline = time.monotonic() + 60
        while not box.is_running():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert box.exec(["sh", "-c", "echo $KEPT"]).stdout_text == f"{KEPT}\n"
    assert KEPT not in controller.log()
