"""Whether images are there, and pulls."""

import asyncio
import contextlib
import json
import os
import stat
import time
from collections.abc import AsyncIterator
from pathlib import Path

import docker
import pytest
from docker.errors import ImageNotFound

from e2e_api.conditions import Reason
from e2e_controller.drivers.base import (
    EngineUnavailable,
    ImageFailed,
)
from e2e_controller.drivers.docker import DockerDriver
from e2e_controller.drivers.docker.endpoint import find_endpoint
from e2e_controller.drivers.fake import FakeDriver
from tests.contract import registry as registries
from tests.contract.bench import IMAGE, Bench, eventually
from tests.contract.registry import LOGIN, PASSWORD, USER, Registry


def ignore(_line: str) -> None:
    pass


@pytest.fixture
async def registry(docker_client: docker.APIClient) -> AsyncIterator[Registry]:
    async for made in served(docker_client, private=False):
        yield made


@pytest.fixture
async def private_registry(docker_client: docker.APIClient) -> AsyncIterator[Registry]:
    async for made in served(docker_client, private=True):
        yield made


async def served(client: docker.APIClient, *, private: bool) -> AsyncIterator[Registry]:
    """Nothing of it is left on the engine."""
    if not find_endpoint(None, os.environ).is_local:
        pytest.skip("the engine cannot reach a registry on this machine's loopback")
    async with registries.serve(private=private) as made:
        yield made
        made.let_go.set()
        for name in ("good", "slow"):
            try:
                await asyncio.to_thread(client.remove_image, made.reference(name), force=True)
            except ImageNotFound:
                continue


@pytest.fixture
def docker_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of the user's docker settings."""
    folder = tmp_path / "docker-config"
    folder.mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    return folder


async def test_presence(bench: Bench) -> None:
    assert await bench.driver.image_present(IMAGE)
    assert not await bench.driver.image_present("e2e.example/no-such-image:1")


async def test_presence_by_other_names(docker_bench: Bench) -> None:
    assert await docker_bench.driver.image_present("busybox:1.36")
    assert not await docker_bench.driver.image_present("busybox:no-such-tag")


async def test_an_image_that_no_registry_has(fake_bench: Bench) -> None:
    with pytest.raises(ImageFailed) as caught:
        await fake_bench.driver.pull("e2e.example/no-such-image:1", ignore)
    assert not caught.value.retry
    assert caught.value.reason == Reason.IMAGE_PULL_FAILED


async def test_a_pull_in_the_fake(fake_bench: Bench) -> None:
    assert isinstance(fake_bench.driver, FakeDriver)
    fake_bench.driver.pullable.add("e2e.example/image:1")
    await fake_bench.driver.pull("e2e.example/image:1", ignore)
    assert await fake_bench.driver.image_present("e2e.example/image:1")


async def test_pulls_and_tells_how_far_it_is(docker_bench: Bench, registry: Registry) -> None:
    reference, lines = registry.reference("good"), []
    await docker_bench.driver.pull(reference, lines.append)
    assert await docker_bench.driver.image_present(reference)
    assert lines[0].startswith("pulling")
    assert lines[-1] == "pulling 100% (1 of 1 layers)"
    assert len(lines) == len(set(lines))


async def test_pulls_by_digest(
    docker_bench: Bench, registry: Registry, docker_client: docker.APIClient
) -> None:
    reference = f"127.0.0.1:{registry.port}/good@{registry.digest}"
    await docker_bench.driver.pull(reference, ignore)
    assert await docker_bench.driver.image_present(reference)
    await asyncio.to_thread(docker_client.remove_image, reference, force=True)


async def test_pulls_the_tag_latest_by_default(
    docker_bench: Bench, registry: Registry, docker_client: docker.APIClient
) -> None:
    reference = f"127.0.0.1:{registry.port}/good"
    await docker_bench.driver.pull(reference, ignore)
    assert await docker_bench.driver.image_present(f"{reference}:latest")
    await asyncio.to_thread(docker_client.remove_image, f"{reference}:latest", force=True)


async def test_all_who_want_an_image_share_a_pull(docker_bench: Bench, registry: Registry) -> None:
    reference = registry.reference("slow")
    told: list[list[str]] = [[] for _ in range(8)]
    pulls = [asyncio.create_task(docker_bench.driver.pull(reference, lines.append)) for lines in told]
    await eventually(lambda: asked(registry, "slow blobs"), lambda count: count)
    assert registry.asked["slow manifests"] <= 2  # one pull may ask for the head, and then for all
    pulls[0].cancel()
    await asyncio.wait([pulls[0]])
    assert pulls[0].cancelled()
    late = asyncio.create_task(docker_bench.driver.pull(reference, told[0].append))
    registry.let_go.set()
    await asyncio.gather(late, *pulls[1:])
    assert registry.asked["slow manifests"] <= 2
    assert all(lines[-1] == "pulling 100% (1 of 1 layers)" for lines in told[1:])


async def test_a_pull_that_nobody_waits_for_ends(docker_bench: Bench, registry: Registry) -> None:
    reference = registry.reference("slow")
    pull = asyncio.create_task(docker_bench.driver.pull(reference, ignore))
    await eventually(lambda: asked(registry, "slow blobs"), lambda count: count)
    pull.cancel()
    await asyncio.wait([pull])
    registry.let_go.set()
    await docker_bench.driver.pull(reference, ignore)
    assert await docker_bench.driver.image_present(reference)


async def asked(registry: Registry, what: str) -> int:
    return registry.asked[what]


@pytest.mark.parametrize(
    ("name", "tag", "retry", "text"),
    [
        ("good", "missing", False, r"manifest unknown.*check the image's name and tag"),
        ("no-such-name", "1", False, r"manifest unknown|not found"),
        ("broken", "1", True, "503|not today"),
    ],
)
async def test_pulls_that_fail(
    docker_bench: Bench, registry: Registry, docker_config: Path, name: str, tag: str, retry: bool, text: str
) -> None:
    reference = registry.reference(name, tag)
    with pytest.raises(ImageFailed, match=text) as caught:
        await docker_bench.driver.pull(reference, ignore)
    assert caught.value.retry is retry
    assert caught.value.reason == Reason.IMAGE_PULL_FAILED
    assert reference in str(caught.value)


async def test_a_registry_that_is_not_there(docker_bench: Bench) -> None:
    with pytest.raises(ImageFailed, match=r"connection refused.*registry") as caught:
        await docker_bench.driver.pull("127.0.0.1:1/image:1", ignore)
    assert caught.value.retry


@pytest.mark.parametrize("reference", ["NOT A reference", "https://example.com/image", "", "-bad-/image"])
async def test_what_is_no_reference(docker_bench: Bench, reference: str) -> None:
    with pytest.raises(ImageFailed) as caught:
        await docker_bench.driver.pull(reference, ignore)
    assert not caught.value.retry


async def test_a_pull_without_progress_is_given_up(docker_bench: Bench, registry: Registry) -> None:
    driver = DockerDriver(docker_bench.controller_id, state_dir=docker_bench.state_dir, pull_silence=1.0)
    began = time.monotonic()
    try:
        with pytest.raises(ImageFailed, match="no progress for 1 s") as caught:
            await driver.pull(registry.reference("slow"), ignore)
    finally:
        registry.let_go.set()
        await driver.close()
    assert caught.value.retry
    assert time.monotonic() - began < 60


async def test_a_login_after_the_start_counts(
    docker_bench: Bench, private_registry: Registry, docker_config: Path
) -> None:
    reference = private_registry.reference("good")
    with pytest.raises(ImageFailed, match=r"no basic auth credentials.*docker login") as caught:
        await docker_bench.driver.pull(reference, ignore)
    assert not caught.value.retry
    document = {"auths": {f"127.0.0.1:{private_registry.port}": {"auth": LOGIN}}}
    (docker_config / "config.json").write_text(json.dumps(document))
    await docker_bench.driver.pull(reference, ignore)
    assert await docker_bench.driver.image_present(reference)


async def test_a_credential_helper(
    docker_bench: Bench, private_registry: Registry, docker_config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, helper = f"127.0.0.1:{private_registry.port}", docker_config / "docker-credential-test"
    secret = json.dumps({"ServerURL": "", "Username": USER, "Secret": PASSWORD})
    helper.write_text(f"#!/bin/sh\nread server\n[ \"$server\" = {server} ] && echo '{secret}'\n")
    helper.chmod(helper.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{docker_config}{os.pathsep}{os.environ['PATH']}")
    (docker_config / "config.json").write_text(json.dumps({"credHelpers": {server: "test"}}))
    await docker_bench.driver.pull(private_registry.reference("good"), ignore)


@pytest.mark.filterwarnings("ignore:docker-credential-no-such-helper not installed")
@pytest.mark.parametrize("config", ["no JSON", "[]", '{"credsStore": "no-such-helper"}', '{"auths": 3}'])
async def test_settings_that_cannot_be_used_do_not_stop_a_pull(
    docker_bench: Bench, registry: Registry, docker_config: Path, config: str
) -> None:
    (docker_config / "config.json").write_text(config)
    await docker_bench.driver.pull(registry.reference("good"), ignore)


async def test_no_engine_during_a_pull(docker_bench: Bench, tmp_path: Path) -> None:
    driver = DockerDriver("nobody", engine=f"unix://{tmp_path}/none.sock", state_dir=tmp_path)
    with pytest.raises(EngineUnavailable):
        await driver.pull(IMAGE, ignore)
    await driver.close()


async def test_a_mirror_stands_in_for_the_registry(
    docker_client: docker.APIClient, registry: Registry, state_dir: Path
) -> None:
    mirror = f"127.0.0.1:{registry.port}"
    driver = DockerDriver("nobody", state_dir=state_dir, image_mirror=mirror)
    reference = f"quay.invalid/e2e-{registry.port}/good:1"
    try:
        assert not await driver.image_present(reference)
        await driver.pull(reference, ignore)
        assert await driver.image_present(reference)
        assert f"quay.invalid/e2e-{registry.port}/good manifests" in registry.asked
        with pytest.raises(
            ImageFailed, match=f"pull of {mirror}/docker.io/library/absent-{registry.port}:1 failed"
        ):
            await driver.pull(f"absent-{registry.port}:1", ignore)
    finally:
        await driver.close()
        for name in (reference, f"{mirror}/{reference}"):
            with contextlib.suppress(ImageNotFound):
                await asyncio.to_thread(docker_client.remove_image, name, force=True)
