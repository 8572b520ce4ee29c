"""A changed build context is another image: when its manifest is applied, and when the controller starts."""

import shutil
from pathlib import Path

import pytest

from e2e_api.v1 import manifest_service_pb2 as pb

from .conftest import Client, Harness, document


@pytest.fixture
def context(tmp_path: Path) -> Path:
    folder = tmp_path / "context"
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM scratch\n")
    return folder


async def image(client: Client) -> str:
    """Of the container that is there, once it is ready."""
    await client.wait()
    return str((await client.get()).status.container.image)


async def apply(client: Client, context: Path, dry_run: bool = False) -> pb.AppliedObject:
    response = await client.apply(document(build={"context": str(context)}), dry_run=dry_run)
    return response.objects[0]


def changes(harness: Harness) -> set[str]:
    return set(harness.driver.changes) - {"ensure_network test"}


async def test_apply_builds_again_what_changed(client: Client, harness: Harness, context: Path) -> None:
    await apply(client, context)
    first = await image(client)
    assert (await apply(client, context)).action == pb.APPLY_ACTION_UNCHANGED
    (context / "Dockerfile").write_text("FROM other\n")

    planned = await apply(client, context, dry_run=True)
    assert planned.action == pb.APPLY_ACTION_CHANGED
    assert [step.partition(" ")[0] for step in planned.plan] == ["remove", "build", "create", "start:"]
    assert await image(client) == first

    assert (await apply(client, context)).action == pb.APPLY_ACTION_CHANGED
    second = await image(client)
    assert second != first
    assert second in planned.plan[1]
    assert (await apply(client, context)).action == pb.APPLY_ACTION_UNCHANGED
    builds = dict.fromkeys(call for call in harness.driver.calls if call.startswith("build "))
    assert list(builds) == [f"build {first}", f"build {second}"]


async def test_a_start_of_the_controller_looks_too(harness: Harness, context: Path) -> None:
    harness.write("test/web.yaml", document(build={"context": str(context)}))
    async with harness.running() as client:
        first = await image(client)
    async with harness.running() as client:
        assert await image(client) == first
        assert changes(harness) == set()
    (context / "more").write_text("more")
    async with harness.running() as client:
        assert await image(client) != first


async def test_a_folder_that_is_gone_is_no_reason_to_replace(harness: Harness, context: Path) -> None:
    harness.write("test/web.yaml", document(build={"context": str(context)}))
    async with harness.running() as client:
        first = await image(client)
    shutil.rmtree(context)
    async with harness.running() as client:
        assert await image(client) == first
        assert changes(harness) == set()
