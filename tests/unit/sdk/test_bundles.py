"""Bundles: written whole or not at all, by hand and by a failure."""

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

import e2e
from e2e.bundles import BundleWriter

from .fake_controller import FakeController, until


def contents(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as archive:
        found = {member.name: archive.extractfile(member) for member in archive.getmembers()}
        return {name: file.read() for name, file in found.items() if file is not None}


def test_a_bundle_has_the_files_below_one_folder(controller: FakeController, tmp_path: Path) -> None:
    with e2e.Environment("shop") as env:
        path = env.bundle(tmp_path / "new" / "shop.tar.gz", log_bytes=100)
    assert contents(path) == {
        "shop-evidence/logs/web.log": b"one\ntwo\n",
        "shop-evidence/index.txt": b"what is where\n",  # never outside
    }
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_a_bundle_that_fails_leaves_no_file(tmp_path: Path) -> None:
    def interrupted() -> None:
        with BundleWriter(tmp_path / "a.tar.gz", "shop") as writer:
            writer.add("index.txt", b"x")
            raise KeyError

    with pytest.raises(KeyError):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(e2e.E2EError, match=r"cannot write .*file/a\.tar\.gz: "):
        BundleWriter(tmp_path / "file" / "a.tar.gz", "shop").__enter__()


def test_a_failing_block_leaves_a_bundle_where_asked(
    controller: FakeController, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("E2E_BUNDLE_DIR", str(tmp_path))
    with pytest.raises(ValueError) as failed, e2e.Environment("shop"):
        raise ValueError("wrong")
    (path,) = tmp_path.iterdir()
    assert failed.value.__notes__ == [f"evidence of environment shop: {path}"]
    until(lambda: controller.held == [])
    with e2e.Environment("shop"):
        pass
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_test_leaves_a_bundle_and_its_report_the_path(
    controller: FakeController, tmp_path: Path
) -> None:
    (tmp_path / "test_it.py").write_text(
        "def test_it(e2e_environment):\n    assert 1 == 2\ndef test_good(e2e_environment):\n    pass\n"
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\ne2e_bundle_dir = evidence\n")
    scope = ["-o", "asyncio_default_fixture_loop_scope=function", "-p", "no:looptime_plugin"]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *scope]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=150)
    (path,) = (tmp_path / "evidence").iterdir()
    assert f"evidence bundle: {path}" in ended.stdout
    assert any(name.endswith("/logs/web.log") for name in contents(path))


def test_a_failing_block_keeps_its_environment_where_asked(controller: FakeController) -> None:
    from e2e_api.v1 import environment_service_pb2

    def test() -> None:
        with e2e.Environment("shop", keep_on_failure=True, ttl=600) as env:
            env.workload("web", image="x").start()
            raise ValueError("wrong")

    with pytest.raises(ValueError) as failed:
        test()
    assert ("shop", "Workload", "web") in controller.objects
    holds = controller.asked(environment_service_pb2.HoldRequest)
    assert [hold.keep for hold in holds] == [False, True]
    assert failed.value.__notes__ == ["environment shop is kept: `e2e describe environment/shop`"]


async def test_the_asynchronous_client_does_the_same(controller: FakeController, tmp_path: Path) -> None:
    async with e2e.AsyncEnvironment("shop") as env:
        path = await env.bundle(tmp_path / "shop.tar.gz")
    assert contents(path)["shop-evidence/logs/web.log"] == b"one\ntwo\n"
