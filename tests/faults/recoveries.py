"""Scenarios in which something fails until somebody acts: it has to be told, and then to be over."""

import asyncio

from e2e_api.conditions import ConditionType, Reason
from e2e_controller.drivers.base import Key
from e2e_controller.drivers.fake import FakeProcess

from .core import Core, Goal
from .programs import Ends
from .stories import Story, document, is_settled, key

MIGRATE = Key("test", "Job", "migrate")


def failed(at: Key, reason: Reason) -> Goal:
    """Whether it is told to have failed, for that reason."""

    def is_so(core: Core) -> bool:
        object_ = core.store.get(at)
        if object_ is None or not object_.settled or not object_.status.is_true(ConditionType.FAILED):
            return False
        condition = object_.status.condition(ConditionType.FAILED)
        return condition is not None and condition.reason == reason

    return is_so


async def job_that_fails_for_good(story: Story) -> None:
    """It has its retries and none more, however often the controller dies; then its manifest is put right."""
    program = story.world.engine.programs["broken"] = Ends(1)
    story.world.engine.programs["done"] = Ends(0)
    await story.write("a.json", document("migrate", "Job", command=["broken"], retries=2))
    await story.until(failed(MIGRATE, Reason.EXITED), "the job has failed")
    assert program.runs <= 3, f"{program.runs} runs, though there are 2 retries"
    await story.write("a.json", document("migrate", "Job", command=["done"], retries=2))


async def failing_dependency(story: Story) -> None:
    """Whoever depends on it fails with it, without ever having run, and runs once it is put right."""
    story.world.engine.programs |= {"broken": Ends(1), "done": Ends(0)}
    web = document(dependsOn=[{"name": "migrate"}])
    await story.write("a.json", document("migrate", "Job", command=["broken"]), web)
    await story.until(failed(key(), Reason.DEPENDENCY_FAILED), "its dependant has failed")
    assert story.world.container(key()) is None
    await story.write("a.json", document("migrate", "Job", command=["done"]), web)


async def image_to_be_had_later(story: Story) -> None:
    """A person pushes it, and tells nobody."""
    await story.write("a.json", document(image="private:1"))
    await story.until(failed(key(), Reason.IMAGE_PULL_FAILED), "it has failed")
    story.world.pullable.add("private:1")
    story.core.driver.pullable.add("private:1")


async def port_taken(story: Story) -> None:
    """By a program that has nothing to do with us, until that ends."""
    taken = story.world.engine.taken_ports
    taken.add(8080)
    await story.write("a.json", document(ports={"http": {"containerPort": 80, "hostPort": 8080}}))
    await story.until(failed(key(), Reason.PORT_TAKEN), "it has failed")
    taken.discard(8080)


async def name_taken(story: Story) -> None:
    """By a container that is not ours, which is left alone until somebody removes it."""
    story.core.driver.add_foreign(key())
    foreign = story.world.container(key())
    await story.write("a.json", document())
    await story.until(failed(key(), Reason.NAME_CONFLICT), "it has failed")
    assert story.world.container(key()) == foreign
    story.core.driver.remove_behind_the_back(key())


async def live_file_and_state(story: Story) -> None:
    """Both change in one write, to rest and back."""
    for content, state in (("1", "Running"), ("2", "Stopped"), ("3", "Running"), ("4", "Killed")):
        files = [
            {"path": "/none", "content": content, "onChange": "None"},
            {"path": "/restart", "content": content, "onChange": "Restart"},
        ]
        await story.write("a.json", document(files=files, state=state))
        await story.settle()


async def held_during_its_end(story: Story) -> None:
    """An earlier client is gone, its environment goes; the next one claims it and wants the same."""
    await story.apply(document())
    await story.settle()
    story.core.leases._ends.mark_held("test", keep=False)
    serving = asyncio.Event()
    serving.set()
    story.core.leases.recover(serving, grace=2.0)
    story.applied.clear()
    await story.until(lambda core: core.ends(key()), "its end has begun")
    await story.until(lambda core: core.holds("test", fresh=True), "it is held")
    await story.apply(document())
    # As the SDK does, the client claims it again after each restart.
    await story.until(
        lambda core: core.holds("test", fresh=False) and is_settled(story, core), "it runs again"
    )


class TakesDown:
    """A job's program that ends a workload in its first run, and fails in every one."""

    def __init__(self, story: Story, name: str) -> None:
        self._engine = story.world.engine
        self._name = name
        self.runs = 0

    async def __call__(self, _process: FakeProcess) -> int:
        self.runs += 1
        found = self._engine.containers.get(f"test.{self._name}")
        if self.runs == 1 and found is not None:
            self._engine.end(found, 1)
        return 1


async def unready_between_attempts(story: Story) -> None:
    """What the job depends on is slow to be ready again: the retry waits for it, and is counted as one."""
    engine = story.world.engine
    program = engine.programs["broken"] = TakesDown(story, "db")
    engine.programs["done"] = Ends(0)

    async def slow(_process: FakeProcess) -> int:
        started = engine.containers["test.db"].view.started_at
        return int(started is None or (engine.now() - started).total_seconds() < 3)

    engine.programs["slow"] = slow
    database = document("db", restartPolicy="OnFailure", readiness={"exec": {"command": ["slow"]}})
    needs = [{"name": "db"}]
    broken = document("migrate", "Job", command=["broken"], retries=2, dependsOn=needs)
    await story.write("a.json", database, broken)
    await story.until(failed(MIGRATE, Reason.EXITED), "the job has failed")
    assert program.runs <= 3, f"{program.runs} runs, though there are 2 retries"
    await story.write("a.json", database, document("migrate", "Job", command=["done"], dependsOn=needs))
