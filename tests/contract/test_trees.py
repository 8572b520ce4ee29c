"""Directories that containers wrote to."""

import errno
from pathlib import Path

import docker
import pytest

from e2e_controller.drivers.base import DriverError, Mount
from e2e_controller.drivers.docker.engine import Engine
from e2e_controller.drivers.docker.trees import Trees
from e2e_controller.drivers.inventory import Owner
from tests.contract.bench import Bench


async def test_removes_a_directory(bench: Bench) -> None:
    tree = bench.state_dir / "environment"
    (tree / "deep").mkdir(parents=True)
    (tree / "deep" / "file").write_text("x")
    for _ in range(2):
        await bench.driver.remove_tree(str(tree))
        assert not tree.exists()


async def test_removes_what_a_container_wrote_as_root(docker_bench: Bench) -> None:
    tree = docker_bench.state_dir / "environment"
    tree.mkdir()
    script = "mkdir -p /data/a/b; echo x >/data/a/b/c; chmod 700 /data/a"
    mounts = (Mount(str(tree), "/data", is_host_path=True),)
    await docker_bench.up(command=("sh", "-c", script), mounts=mounts)
    await docker_bench.ended()
    assert (tree / "a" / "b" / "c").exists()
    await docker_bench.driver.remove_tree(str(tree))
    assert not tree.exists()


async def test_a_container_removes_what_this_user_may_not(
    docker_bench: Bench, docker_client: docker.APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This suite may run as root, whom nothing is denied."""
    tree, neighbour = docker_bench.state_dir / "environment", docker_bench.state_dir / "neighbour"
    neighbour.mkdir()
    (tree / "a" / "b").mkdir(parents=True)

    def denied(*_arguments: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("shutil.rmtree", denied)
    await docker_bench.driver.remove_tree(str(tree))
    assert not tree.exists()
    assert neighbour.exists()
    assert list(await docker_bench.driver.list_containers()) == []


async def test_what_keeps_a_directory_from_going_is_told(
    docker_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = docker_bench.state_dir / "environment"
    tree.mkdir()

    def busy(path: Path) -> None:
        raise OSError(errno.EBUSY, "Device or resource busy", str(path / "mounted"))

    monkeypatch.setattr("shutil.rmtree", busy)
    with pytest.raises(
        DriverError, match=r"cannot remove .*/environment/mounted: Device or resource busy; .*rm -rf"
    ):
        await docker_bench.driver.remove_tree(str(tree))


async def test_no_image_can_do_it(docker_bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = docker_bench.state_dir / "environment"
    tree.mkdir()
    engine = Engine(None, 2, 60.0, None)
    monkeypatch.setattr("e2e_controller.drivers.docker.trees.likely_images", lambda _images: [])
    try:
        with pytest.raises(DriverError, match=r"no image here could do it.*sudo rm -rf"):
            await Trees(engine, Owner(docker_bench.controller_id), docker_bench.state_dir).remove_as_root(
                tree
            )
    finally:
        await engine.close()


@pytest.mark.parametrize("path", ["", "..", "../elsewhere", "link/inside", "/"])
async def test_only_below_the_state_folder(
    bench: Bench, tmp_path_factory: pytest.TempPathFactory, path: str
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "inside").mkdir()
    (bench.state_dir / "link").symlink_to(elsewhere)
    with pytest.raises(DriverError, match="is not below"):
        await bench.driver.remove_tree(path if path == "/" else f"{bench.state_dir}/{path}")
    assert (elsewhere / "inside").exists()
    assert bench.state_dir.exists()


async def test_a_link_is_not_followed(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "inside").mkdir()
    tree = bench.state_dir / "environment"
    tree.mkdir()
    (tree / "link").symlink_to(elsewhere)
    await bench.driver.remove_tree(str(tree))
    assert not tree.exists()
    assert (Path(elsewhere) / "inside").exists()
