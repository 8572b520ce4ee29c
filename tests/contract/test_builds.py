"""Builds, and what built images say of their health."""

import asyncio
from pathlib import Path

import docker
import pytest

from e2e_api.conditions import Reason
from e2e_controller.drivers.base import (
    LABEL_CONTROLLER,
    BuildSpec,
    Health,
    ImageFailed,
)
from e2e_controller.drivers.fake import FakeDriver
from tests.contract.bench import Bench, eventually
from tests.contract.test_events import following


def ignore(_line: str) -> None:
    pass


@pytest.fixture
def context(tmp_path: Path) -> Path:
    folder = tmp_path / "context"
    folder.mkdir()
    return folder


async def test_builds(bench: Bench, context: Path) -> None:
    tag, lines = f"{bench.controller_id}:built", []
    (context / "Dockerfile").write_text("FROM busybox:1.36\n")
    assert not await bench.driver.image_present(tag)
    await bench.driver.build(BuildSpec(tag, str(context)), lines.append)
    assert await bench.driver.image_present(tag)
    assert lines[0].lower().startswith("building: step 1/")
    await bench.create(image=tag)


async def test_the_digest_of_a_context_follows_its_contents(bench: Bench, context: Path) -> None:
    spec = BuildSpec(f"{bench.controller_id}:built", str(context))
    assert await bench.driver.context_digest(spec) == ""
    (context / "Dockerfile").write_text("FROM busybox:1.36\n")
    first = await bench.driver.context_digest(spec)
    (context / "Dockerfile").touch()
    assert await bench.driver.context_digest(spec) == first != ""
    (context / "file").write_text("x")
    assert await bench.driver.context_digest(spec) not in ("", first)


async def test_what_a_build_is_given(
    docker_bench: Bench, docker_client: docker.APIClient, context: Path
) -> None:
    tag = f"{docker_bench.controller_id}:built"
    (context / "sub").mkdir()
    (context / "sub" / "kept").write_text("kept")
    (context / "sub" / "ignored").write_text("ignored")
    (context / ".dockerignore").write_text("# a comment\n\nsub/ignored\n*.txt\n")
    (context / "other.Dockerfile").write_text(
        "FROM busybox:1.36 AS first\nARG WHO=nobody\nCOPY . /context\nRUN echo $WHO >/who\n"
        "FROM first AS second\nRUN exit 1\n"
    )
    spec = BuildSpec(tag, str(context), "other.Dockerfile", {"WHO": "tester"}, "first")
    await docker_bench.driver.build(spec, ignore)
    container_id = await docker_bench.up(image=tag)
    out, _, _ = await docker_bench.run(container_id, "sh", "-c", "cat /who; cd /context; find sub -type f")
    assert out == b"tester\nsub/kept\n"
    labels = docker_client.inspect_image(tag)["Config"]["Labels"]
    assert labels[LABEL_CONTROLLER] == docker_bench.controller_id


async def test_a_dockerfile_outside_the_context(docker_bench: Bench, context: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.Dockerfile").write_text("FROM busybox:1.36\nCOPY file /file\n")
    (context / "file").write_text("x")
    spec = BuildSpec(f"{docker_bench.controller_id}:built", str(context), "../elsewhere.Dockerfile")
    await docker_bench.driver.build(spec, ignore)


@pytest.mark.parametrize(
    ("dockerfile", "text"),
    [
        (
            "FROM busybox:1.36\nRUN echo before the end; echo more >&2; exit 7\n",
            r"code: 7[\s\S]*before the end",
        ),
        ("FROM busybox:1.36\nCOPY no-such-file /\n", "no-such-file"),
        ("FRUM busybox:1.36\n", "FRUM|unknown instruction"),
        ("", "empty"),
    ],
)
async def test_builds_that_fail(docker_bench: Bench, context: Path, dockerfile: str, text: str) -> None:
    (context / "Dockerfile").write_text(dockerfile)
    tag = f"{docker_bench.controller_id}:built"
    with pytest.raises(ImageFailed, match=text) as caught:
        await docker_bench.driver.build(BuildSpec(tag, str(context)), ignore)
    assert not caught.value.retry
    assert caught.value.reason == Reason.IMAGE_BUILD_FAILED
    assert tag in str(caught.value)
    assert not await docker_bench.driver.image_present(tag)


async def test_a_build_whose_base_cannot_be_pulled(docker_bench: Bench, context: Path) -> None:
    (context / "Dockerfile").write_text("FROM 127.0.0.1:1/base:1\n")
    with pytest.raises(ImageFailed, match="refused") as caught:
        await docker_bench.driver.build(
            BuildSpec(f"{docker_bench.controller_id}:built", str(context)), ignore
        )
    assert caught.value.retry


async def test_a_build_without_context_or_dockerfile(docker_bench: Bench, context: Path) -> None:
    with pytest.raises(ImageFailed, match=r"no Dockerfile.*correct build"):
        await docker_bench.driver.build(BuildSpec("a:b", str(context)), ignore)
    with pytest.raises(ImageFailed, match="is no directory"):
        await docker_bench.driver.build(BuildSpec("a:b", str(context / "missing")), ignore)


async def test_the_images_health_check(docker_bench: Bench, context: Path) -> None:
    """Its states, and that an event tells of each change."""
    check = "HEALTHCHECK --interval=1s --retries=1 CMD test -f /tmp/good\n"
    (context / "Dockerfile").write_text(f"FROM busybox:1.36\n{check}")
    tag = f"{docker_bench.controller_id}:health"
    await docker_bench.driver.build(BuildSpec(tag, str(context)), ignore)
    async with following(docker_bench) as found:
        container_id = await docker_bench.up(image=tag)
        assert (await docker_bench.look()).health in (Health.STARTING, Health.UNHEALTHY)
        await eventually(docker_bench.look, lambda found: found.health is Health.UNHEALTHY)
        await docker_bench.run(container_id, "touch", "/tmp/good")
        await eventually(docker_bench.look, lambda found: found.health is Health.HEALTHY)
        await eventually(
            lambda: asyncio.sleep(0, found.actions(docker_bench)),
            lambda actions: actions.count("health_status") >= 2,
        )


async def test_health_in_the_fake(fake_bench: Bench) -> None:
    assert isinstance(fake_bench.driver, FakeDriver)
    await fake_bench.up()
    fake_bench.driver.set_health(fake_bench.key(), Health.HEALTHY)
    assert (await fake_bench.look()).health is Health.HEALTHY


async def test_no_health_check(bench: Bench) -> None:
    await bench.up()
    assert (await bench.look()).health is Health.NONE
