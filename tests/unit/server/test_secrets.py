"""Secrets that manifests point to: they reach the container, and are shown nowhere."""

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import grpc
import pytest

from e2e_api.conditions import ConditionType
from e2e_api.errors import WaitFailed
from e2e_api.secrets import MASK
from e2e_api.v1 import container_service_pb2, evidence_service_pb2, metric_service_pb2, object_pb2
from e2e_controller.drivers.base import Key

from .conftest import Client, Harness, document, eventually, key

WEB = Key("test", "Workload", "web")
SECRET = "geheim/7+äß"
READY = {"exec": {"command": ["true"]}}


def needs(**source: str) -> dict[str, Any]:
    return document(env={"DB": {"valueFrom": source}}, secretFiles=[{"path": "/run/db", "from": source}])


@pytest.fixture
def secrets_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "db").write_text(SECRET + "\n")
    return folder


def spec_of(harness: Harness, name: str = "web") -> Any:
    (found,) = [c for c in harness.engine.containers.values() if c.view.key.name == name]
    return found.spec


async def test_a_file_reaches_variables_and_files(harness: Harness, secrets_dir: Path) -> None:
    async with harness.running(secrets_dir=secrets_dir) as client:
        await client.apply(needs(file="db"))
        await client.wait()
        spec = spec_of(harness)
        assert spec.env == {"DB": SECRET}
        (file,) = spec.files
        assert (file.path, file.content, file.mode) == ("/run/db", f"{SECRET}\n".encode(), 0o400)
        found = await client.get()
        assert json.loads(found.document)["spec"]["env"] == {"DB": {"valueFrom": {"file": "db"}}}


async def test_another_secret_makes_another_container(harness: Harness, secrets_dir: Path) -> None:
    async with harness.running(secrets_dir=secrets_dir, rescan_interval=0.01) as client:
        await client.apply(needs(file="db"))
        await client.wait()
        first = (await client.get()).status
        (secrets_dir / "db").write_text("another-one")
        await eventually(lambda: _env(harness) == {"DB": "another-one"})
        await client.wait()
        second = (await client.get()).status
        assert second.container.id != first.container.id
        assert second.spec_hash != first.spec_hash
    async with harness.running(secrets_dir=secrets_dir) as client:
        await client.wait()
        assert (await client.get()).status.container.id == second.container.id
    (harness.state / "secret-key").unlink()
    async with harness.running(secrets_dir=secrets_dir) as client:
        await eventually(lambda: harness.driver.changes)
        await client.wait()
        third = (await client.get()).status
        assert third.container.id != second.container.id
        assert third.spec_hash != second.spec_hash, "the digests depend on the key"


def _env(harness: Harness) -> Any:
    found = list(harness.engine.containers.values())
    return found[0].spec.env if len(found) == 1 else None


async def test_what_is_not_there_ends_waits_at_once_and_is_taken_when_it_comes(
    harness: Harness, secrets_dir: Path
) -> None:
    async with harness.running(secrets_dir=secrets_dir, rescan_interval=0.01) as client:
        await client.apply(needs(file="other"))
        with pytest.raises(WaitFailed, match=f"SecretNotFound: there is no file {secrets_dir}/other"):
            await client.wait()
        (secrets_dir / "other").write_text("here I am")
        await eventually(lambda: _env(harness) == {"DB": "here I am"})
        await harness.until(WEB, ConditionType.FAILED, holds=False)
        await client.wait()


async def test_one_that_is_gone_ends_nothing_that_runs(harness: Harness, secrets_dir: Path) -> None:
    async with harness.running(secrets_dir=secrets_dir, rescan_interval=0.01) as client:
        await client.apply(needs(file="db"))
        await client.wait()
        first = (await client.get()).status.container.id
        (secrets_dir / "db").unlink()
        await asyncio.sleep(0.1)
        await client.wait()
        await client.apply({**needs(file="db"), "metadata": {"name": "web", "labels": {"a": "b"}}})
        told = await until_running_says(client, "as an earlier manifest asks; there is no file")
        assert told.container.id == first
        with pytest.raises(WaitFailed, match="SecretNotFound"):
            await client.wait()
        (secrets_dir / "db").write_text(SECRET)
        await eventually(lambda: [c.view.id for c in harness.engine.containers.values()] not in ([], [first]))
        await harness.until(WEB, ConditionType.FAILED, holds=False)
        await client.wait()


async def until_running_says(client: Client, message: str) -> object_pb2.ObjectStatus:
    while True:
        status = (await client.get()).status
        if any(c.type == "Running" and c.message.startswith(message) for c in status.conditions):
            return status


async def test_a_variable_of_the_controller(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("E2E_SECRET_DB", SECRET)
    async with harness.running() as client:
        await client.apply(needs(variable="E2E_SECRET_DB"))
        await client.wait()
        assert spec_of(harness).env == {"DB": SECRET}
        await client.apply(needs(variable="E2E_SECRET_OTHER"))
        with pytest.raises(WaitFailed, match="SecretNotFound: the controller has no variable"):
            await client.wait()


async def test_what_is_applied_names_no_file_without_a_folder_for_them(harness: Harness) -> None:
    async with harness.running() as client:
        await client.apply(needs(file="/etc/hostname"))
        with pytest.raises(WaitFailed, match=r"SecretDenied: .*--secrets-dir"):
            await client.wait()


async def test_a_file_beside_the_manifest(harness: Harness) -> None:
    (harness.folder / "test").mkdir()
    (harness.folder / "test" / "db").write_bytes(b"\xff\xfe")
    only_file = document(secretFiles=[{"path": "/run/db", "from": {"file": "db"}, "uid": 5}])
    harness.write("test/web.yaml", only_file)
    harness.write("test/other.yaml", {**needs(file="db"), "metadata": {"name": "other"}})
    harness.write("test/third.yaml", {**needs(file="../../state/secret-key"), "metadata": {"name": "third"}})
    async with harness.running() as client:
        await client.wait()
        (file,) = spec_of(harness).files
        assert (file.content, file.uid) == (b"\xff\xfe", 5)
        with pytest.raises(WaitFailed, match="SecretDenied: the secret of DB is no text"):
            await client.wait(key("other"))
        with pytest.raises(WaitFailed, match=r"SecretDenied: \.\./\.\./state/secret-key is not below"):
            await client.wait(key("third"))


async def test_a_job_that_needs_one(harness: Harness, secrets_dir: Path) -> None:
    async with harness.running(secrets_dir=secrets_dir) as client:
        job = {**needs(file="nothing"), "kind": "Job"}
        await client.apply(job)
        with pytest.raises(WaitFailed, match="SecretNotFound"):
            await client.wait(key(kind="Job"))


async def test_nothing_shows_it(
    harness: Harness, secrets_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    value, short = "sent-by-the-test", "pin"
    async with harness.running(secrets_dir=secrets_dir) as client:
        spec = needs(file="db")["spec"]
        spec["env"] |= {name: {"valueFrom": {"value": v}} for name, v in (("SENT", value), ("PIN", short))}
        spec["env"]["PLAIN"] = "x"
        await client.apply(document(**spec), document("other", readiness=READY))
        await client.wait(key(), key("other"))
        texts = [str(await client.get()), (harness.state / "secret-key").read_bytes().hex()]
        request = container_service_pb2.InspectRequest(key=key())
        inspected = (await client.containers.Inspect(request)).document
        variables = json.loads(inspected)["Config"]["Env"]
        assert variables == [f"DB={MASK}", f"SENT={MASK}", f"PIN={MASK}", "PLAIN=x"]
        bundle = evidence_service_pb2.CollectEvidenceRequest(environment="test")
        async for piece in client.evidence.CollectEvidence(bundle):
            texts.append(piece.data.decode())
        changed = document(
            **{**spec, "env": {**spec["env"], "SENT": {"valueFrom": {"value": "another-one"}}}}
        )
        (planned,) = (await client.apply(changed, dry_run=True)).objects
        assert [(c.path, c.old, c.new) for c in planned.changes] == [
            ("spec.env.SENT.valueFrom.value", MASK, f"{MASK} (another one)")
        ]
        texts.append(str(planned))
    everything = "\n".join([*texts, inspected, caplog.text])
    assert f"PIN={short}" not in everything
    for secret in (SECRET, value, "another-one", json.dumps(SECRET)[1:-1]):
        assert secret not in everything


async def test_what_others_say_of_it_is_hidden_too(harness: Harness, secrets_dir: Path) -> None:
    """A program that logs the secret of another one, and ends."""
    async with harness.running(secrets_dir=secrets_dir) as running:
        await running.apply(needs(file="db"))
        await running.wait()
        await running.apply(document("other", command=["cat", SECRET]))
        with pytest.raises(WaitFailed) as failed:
            await running.wait(key("other"))
        (line,) = (await running.get("other")).status.container.last_log_lines
        assert line == f"cat: can't open '{MASK}': No such file or directory"
        assert SECRET not in str(failed.value)


async def test_logs_are_as_they_are_unless_they_are_asked_for_without_it(
    harness: Harness, secrets_dir: Path
) -> None:
    async with harness.running(secrets_dir=secrets_dir) as client:
        await client.apply(needs(file="db"))
        await client.wait()
        half = len(SECRET.encode()) // 2
        for data in (b"a " + SECRET.encode()[:half], SECRET.encode()[half:] + b"\nb ", SECRET.encode()):
            harness.driver.log(Key("test", "Workload", "web"), data)

        async def shown(*, masked: bool) -> str:
            request = container_service_pb2.LogsRequest(key=key(), masked=masked)
            return b"".join([piece.data async for piece in client.containers.Logs(request)]).decode()

        assert await shown(masked=False) == f"a {SECRET}\nb {SECRET}"
        assert await shown(masked=True) == f"a {MASK}\nb {MASK}"


async def test_manifests_that_have_it_in_other_fields_show_it_neither(
    harness: Harness, secrets_dir: Path, silent_port: int
) -> None:
    async with harness.running(secrets_dir=secrets_dir) as client:
        await client.apply(needs(file="db"))
        await client.wait()
        ports = {"http": {"containerPort": 1, "hostPort": silent_port}}
        fields = {"ports": ports, "metrics": {"port": "http", "path": "/m?t=" + SECRET}}
        await client.apply(document("other", env={"COPY": f"a {SECRET}"}, **fields))
        await client.wait(key("other"))
        shown = json.loads((await client.get("other")).document)["spec"]
        assert (shown["env"], shown["metrics"]["path"]) == ({"COPY": f"a {MASK}"}, f"/m?t={MASK}")
        changed = document("other", env={"COPY": f"b {SECRET}"}, **fields)
        (planned,) = (await client.apply(changed, dry_run=True)).objects
        assert [(c.old, c.new) for c in planned.changes] == [(f"a {MASK}", f"b {MASK}")]
        selection = metric_service_pb2.MetricSelection(key=key("other"), names=["up"])
        with pytest.raises(grpc.aio.AioRpcError, match=r"GET .*/m\?t=\*{8}: ") as failed:
            await client.metrics.SumMetrics(metric_service_pb2.SumMetricsRequest(selection=selection))
        assert SECRET not in str(failed.value)
