"""Every scenario of the reconciler, as a story that can be interrupted anywhere."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from e2e_controller.drivers.base import ContainerSpec, Key
from e2e_controller.drivers.fake import FakeProcess
from e2e_controller.objects import environment_key

from . import recoveries
from .programs import Ends, Flaky
from .stories import Story, document, key


@dataclass(frozen=True)
class Scenario:
    """A story by name."""

    name: str
    tell: Callable[[Story], Awaitable[None]]
    most_extra_creates: int = 2
    """How many containers more than without a fault may be made on the way."""

    def __str__(self) -> str:
        return self.name


async def create(story: Story) -> None:
    await story.write("a.json", document(ports={"http": 80}))


async def change(story: Story) -> None:
    await create(story)
    await story.settle()
    await story.write("a.json", document(env={"A": "2"}, stop={"gracePeriod": "1s"}))
    await story.settle()
    await story.write("a.json", document(env={"A": "3"}, stop={"gracePeriod": "1s"}))


async def delete_by_file(story: Story) -> None:
    await story.write("a.json", document(), document("other"))
    await story.settle()
    await story.write("a.json", document("other"))
    await story.settle()
    await story.remove("a.json")


async def apply_and_delete(story: Story) -> None:
    await story.apply(document())
    await story.settle()
    await story.apply(document(env={"A": "2"}))
    await story.settle()
    await story.delete(key())


async def stop_and_start(story: Story) -> None:
    for state in ("Running", "Stopped", "Running", "Killed", "Running", "Paused", "Stopped", "Running"):
        await story.write("a.json", document(state=state, ports={"http": 80}))
        await story.settle()


async def restart_policy(story: Story) -> None:
    story.world.engine.programs["flaky"] = Flaky(times=2)
    await story.write("a.json", document(command=["flaky"], restartPolicy="OnFailure"))


async def pull(story: Story) -> None:
    await story.write("a.json", document(image="later:1"))
    await story.write("b.json", document("other", image="always:1", imagePullPolicy="Always"))


async def build(story: Story) -> None:
    await story.write("a.json", document(build={"context": "."}))


async def files_and_volumes(story: Story) -> None:
    volumes = [{"source": "data", "target": "/data"}]
    await story.write("a.json", document(files=[{"path": "/etc/a", "content": "1"}], volumes=volumes))
    await story.settle()
    await story.write("a.json", document(files=[{"path": "/etc/a", "content": "2"}], volumes=volumes))


async def remove_environment(story: Story) -> None:
    volumes = [{"source": "data", "target": "/data"}]
    await story.write("a.json", document(volumes=volumes), document("other"))
    await story.write("e.json", document("test", "Environment", labels={"a": "b"}))
    await story.settle()
    await story.remove("a.json")
    await story.settle()
    await story.remove("e.json")


async def two_of_one_image(story: Story) -> None:
    await story.write("a.json", *(document(name, image="later:1") for name in ("one", "two")))


async def environment_defaults(story: Story) -> None:
    await story.write("a.json", document(), document("other"))
    await story.settle()
    await story.write("e.json", document("test", "Environment", labels={"team": "a"}))


async def removed_behind_the_back(story: Story) -> None:
    await story.write("a.json", document())
    await story.settle()
    story.core.driver.remove_behind_the_back(key())
    await story.settle()
    story.core.driver.exit(key(), 0)
    await story.write("a.json", document(restartPolicy="Always"))


async def renamed_behind_the_back(story: Story) -> None:
    """Nobody finds it any more by its name; once with its environment wanted, and once with its end."""
    await story.write("a.json", document())
    await story.settle()
    story.core.driver.rename_behind_the_back(key(), "elsewhere")
    await story.settle()
    story.core.driver.rename_behind_the_back(key(), "nowhere")
    await story.remove("a.json")


async def names_swapped_behind_the_back(story: Story) -> None:
    """Each is in the other's way."""
    await story.write("a.json", document(), document("other"))
    await story.settle()
    story.core.driver.rename_behind_the_back(key(), "between")
    story.world.engine.rename("test.other", "test.web")
    story.world.engine.rename("between", "test.other")


async def network_behind_the_back(story: Story) -> None:
    """As if somebody had made the network anew; the engine tells of it."""
    await story.write("a.json", document())
    await story.settle()
    engine = story.world.engine
    engine.networks["test"] = engine.new_id(), "fake"
    story.core.queue.add(environment_key("test"))


async def probe(story: Story) -> None:
    async def ready(_process: FakeProcess) -> int:
        return 0

    story.world.engine.programs["ready"] = ready
    await story.write("a.json", document(readiness={"exec": {"command": ["ready"]}}))


async def half_made(story: Story) -> None:
    """What an earlier life left: created but not started, in the way of what is wanted."""
    story.core.driver.add_unfinished(key(), ContainerSpec(image="busybox:1.36"), "half")
    story.core.driver.add_unfinished(key("orphan"), ContainerSpec(image="busybox:1.36"), "half")
    await story.write("a.json", document())


async def lease_ends(story: Story) -> None:
    """A client held the environment, and is gone when leases are recovered, as a start does."""
    await story.apply(document())
    await story.settle()
    story.core.leases._ends.mark_held("test", keep=False)
    story.applied.clear()
    serving = asyncio.Event()
    serving.set()
    story.core.leases.recover(serving, grace=2.0)


async def job(story: Story) -> None:
    story.world.engine.programs["done"] = Ends(0)
    await story.write("a.json", document("migrate", "Job", command=["done"]))


async def job_with_retries(story: Story) -> None:
    program = story.world.engine.programs["flaky"] = Ends(1, 1, 0)
    await story.write("a.json", document("migrate", "Job", command=["flaky"], retries=2))
    await story.settle()
    assert program.runs == 3


async def job_removed_after_its_end(story: Story) -> None:
    """By somebody who tidies up; it has run all the same, also for the controller that comes next."""
    program = story.world.engine.programs["done"] = Ends(0)
    await story.write("a.json", document("migrate", "Job", command=["done"]))
    await story.settle()
    runs = program.runs
    story.core.driver.remove_behind_the_back(Key("test", "Job", "migrate"))
    await story.settle()
    await story.restart()
    await story.settle()
    assert program.runs == runs


async def dependencies(story: Story) -> None:
    story.world.engine.programs["done"] = Ends(0)
    needs = [{"name": "migrate"}, {"name": "db", "condition": "Started"}]
    await story.write("web.json", document(dependsOn=needs))
    await story.write("db.json", document("db"), document("migrate", "Job", command=["done"]))


async def live_files(story: Story) -> None:
    def web(content: str) -> dict[str, Any]:
        files = [
            {"path": "/none", "content": content, "onChange": "None"},
            {"path": "/restart", "content": content, "onChange": "Restart"},
        ]
        return document(files=files)

    for content in ("1", "2", "3"):
        await story.write("a.json", web(content))
        await story.settle()


async def targets(story: Story) -> None:
    """What is instrumented comes, changes and goes; who has the file of targets stays the same container."""
    file = {"path": "/targets.json", "from": "MetricTargets"}
    jobs = {"path": "/jobs.yml", "content": "global: {}", "from": "MetricJobs"}
    await story.write("prometheus.json", document("prometheus", files=[file, jobs]))
    for port, shown in ((80, {}), (81, {"bearerToken": "secret"})):
        await story.write("a.json", document(ports={"http": port}, metrics={"port": "http", **shown}))
        await story.settle()
        assert (b"secret" in (story.core.file(key("prometheus"), "/jobs.yml") or b"")) == bool(shown)
        assert f"web:{port}".encode() in (story.core.file(key("prometheus"), "/targets.json") or b"")
    await story.remove("a.json")
    await story.settle()
    assert story.core.file(key("prometheus"), "/targets.json") == b"[]\n"
    assert b"secret" not in (story.core.file(key("prometheus"), "/jobs.yml") or b"secret")


SCENARIOS = (
    Scenario("create", create),
    Scenario("change", change),
    Scenario("delete by file", delete_by_file),
    Scenario("apply and delete", apply_and_delete),
    Scenario("stop and start", stop_and_start),
    Scenario("restart policy", restart_policy),
    Scenario("pull", pull),
    Scenario("build", build),
    Scenario("files and volumes", files_and_volumes),
    Scenario("remove environment", remove_environment),
    Scenario("two of one image", two_of_one_image),
    Scenario("environment defaults", environment_defaults),
    Scenario("removed behind the back", removed_behind_the_back),
    Scenario("renamed behind the back", renamed_behind_the_back),
    Scenario("names swapped behind the back", names_swapped_behind_the_back),
    Scenario("network behind the back", network_behind_the_back),
    Scenario("probe", probe),
    Scenario("half made", half_made),
    Scenario("lease ends", lease_ends),
    Scenario("job", job),
    Scenario("job removed after its end", job_removed_after_its_end),
    Scenario("job with retries", job_with_retries, most_extra_creates=4),
    Scenario("dependencies", dependencies),
    Scenario("live files", live_files),
    Scenario("targets", targets),
    Scenario("job that fails for good", recoveries.job_that_fails_for_good, most_extra_creates=4),
    Scenario("unready between attempts", recoveries.unready_between_attempts, most_extra_creates=4),
    Scenario("failing dependency", recoveries.failing_dependency),
    Scenario("image to be had later", recoveries.image_to_be_had_later),
    Scenario("port taken", recoveries.port_taken),
    Scenario("name taken", recoveries.name_taken),
    Scenario("live file and state", recoveries.live_file_and_state),
    Scenario("held during its end", recoveries.held_during_its_end),
)
