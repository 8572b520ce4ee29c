"""Random wishes, engines and pasts: plans that are carried out lead to rest in a few steps.

For workloads, with and without files that change in place, and for jobs. What others have to do with it, such
as dependencies and a network that is missing, is not here: see the scenarios.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from e2e_api.conditions import ConditionType
from e2e_api.manifests import KINDS
from e2e_controller.directories import Directories
from e2e_controller.drivers.base import ContainerPhase, Key
from e2e_controller.drivers.fake import FakeDriver, FakeEngine
from e2e_controller.objects import Object
from e2e_controller.reconcile.desired import Desired, desired_container
from e2e_controller.reconcile.execute import Execution
from e2e_controller.reconcile.notes import Notebook
from e2e_controller.reconcile.plan import make_plan, may_create
from e2e_controller.reconcile.status import workload_status
from e2e_controller.reconcile.steps import Observed, Plan

from .engine import soak
from .stories import PHASES

STEPS = 5
"""Rounds of plan and execution within which all has to be at rest."""
FILES = st.lists(
    st.fixed_dictionaries(
        {
            "path": st.sampled_from(["/a", "/b"]),
            "content": st.sampled_from(["1", "2"]),
            "onChange": st.sampled_from(["None", "Restart", "Signal(SIGHUP)", "Recreate"]),
        }
    ),
    max_size=2,
    unique_by=lambda file: file["path"],
)
WORKLOADS = st.fixed_dictionaries(
    {"image": st.sampled_from(["here:1", "there:1"])},
    optional={
        "env": st.sampled_from([{}, {"A": "1"}, {"A": "2"}]),
        "state": st.sampled_from(["Running", "Stopped", "Killed", "Paused"]),
        "restartPolicy": st.sampled_from(["Never", "OnFailure", "Always"]),
        "imagePullPolicy": st.sampled_from(["Always", "IfNotPresent", "Never"]),
        "stop": st.just({"gracePeriod": "1s"}),
        "ports": st.just({"http": 80}),
        "files": FILES,
    },
)
MOST_RETRIES = 2
JOBS = st.fixed_dictionaries(
    {"image": st.sampled_from(["here:1", "there:1"])},
    optional={
        "env": st.sampled_from([{}, {"A": "1"}, {"A": "2"}]),
        "retries": st.integers(0, MOST_RETRIES),
        "imagePullPolicy": st.sampled_from(["Always", "IfNotPresent", "Never"]),
    },
)


class Planner(RuleBasedStateMachine):
    """The object and the engine are real (in memory); the past is whatever the rules made of it."""

    key: ClassVar[Key] = Key("test", "Workload", "web")
    specs: ClassVar[st.SearchStrategy[dict[str, Any]]] = WORKLOADS

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.engine = FakeEngine()
        self.driver = FakeDriver(engine=self.engine, images=["here:1"], pullable=["there:1"])
        self.object = Object(self.key, deleting=True)
        self.notebook = Notebook(self.driver)
        self.rested = False

    @rule(data=st.data())
    def wish(self, data: st.DataObject) -> None:
        document = {"metadata": {"name": "web"}, "spec": data.draw(self.specs)}
        manifest = KINDS[self.key.kind].model_validate(document)
        generation = self.object.generation + 1
        self.object = Object(self.key, manifest, generation, status=self.object.status)

    @rule()
    def unwish(self) -> None:
        self.object = Object(self.key, self.object.manifest, self.object.generation + 1, deleting=True)

    @rule()
    def forget_the_past(self) -> None:
        """As a restart does."""
        self.notebook = Notebook(self.driver)
        self.object = Object(self.key, self.object.manifest, 1, deleting=self.object.deleting)

    @rule(code=st.sampled_from([0, 1, 137]))
    def exits(self, code: int) -> None:
        if (found := self.engine.containers.get("test.web")) is not None and found.lives:
            self.rested = False
            self.do(self.now(lambda: self.engine.end(found, code)))

    async def now(self, work: Callable[[], object]) -> None:
        """In the event loop, which the fake engine's parts need."""
        work()

    @rule()
    def goes_behind_the_back(self) -> None:
        if "test.web" in self.engine.containers:
            self.do(self.now(lambda: self.driver.remove_behind_the_back(self.key)))

    @rule()
    def network_is_made_anew(self) -> None:
        self.engine.networks.pop("test", None)

    @rule()
    def image_goes(self) -> None:
        self.engine.images.pop("there:1", None)

    @rule()
    def crash_in_the_middle_of_a_creation(self) -> None:
        if "test.web" not in self.engine.containers and (desired := self.desired()) is not None:
            spec, spec_hash = desired.spec, desired.spec_hash
            self.do(self.now(lambda: self.driver.add_unfinished(self.key, spec, spec_hash)))

    @invariant()
    def comes_to_rest(self) -> None:
        """Carries plans out until there is nothing to do; then all is as wished, and stays so."""
        plans = []
        for _ in range(STEPS):
            plan = self.do(self.round())
            plans.append(str(plan))
            if not plan.steps:
                break
            assert len(self.engine.containers) <= 1
        else:
            raise AssertionError(f"no rest: {plans}")
        assert not self.do(self.round()).steps
        self.is_as_wished()

    def is_as_wished(self) -> None:
        desired, found = self.desired(), self.engine.containers.get("test.web")
        if desired is None:
            assert found is None
            return
        failed = self.object.status.is_true(ConditionType.FAILED)
        if found is None:
            assert desired.state in ("Stopped", "Killed") or failed
        elif desired.state in ("Stopped", "Killed"):
            assert not found.lives
        else:
            assert found.view.spec_hash == desired.spec_hash
            assert found.view.phase is PHASES[desired.state] or failed
            for file in desired.live_files if found.lives and desired.state == "Running" else ():
                assert found.files[file.content.path][0] == file.content.content

    async def round(self) -> Plan:
        """What the reconciler does once, without queue and store."""
        network = await self.driver.ensure_network("test")
        desired = self.desired()
        container = await self.driver.inspect(self.key)
        observed = Observed(container, None, network, rested=self.rested)
        if desired is not None and may_create(desired, observed):
            present = await self.driver.image_present(desired.spec.image)
            observed = Observed(container, present, network, rested=self.rested)
        elif container is not None and desired is not None and desired.live_files:
            observed = replace(observed, notes=await self.notebook.read(container.id))
        plan = make_plan(desired, observed, self.object.status, self.engine.now())
        if plan.requeue_after is not None:
            return await self.after_the_delay(plan, observed, desired)
        return await self.carry_out(plan, observed, desired)

    async def after_the_delay(self, plan: Plan, observed: Observed, desired: Desired | None) -> Plan:
        """The restart is due when its delay is over, counted from the status that tells of the end."""
        await self.carry_out(plan, observed, desired)
        later = self.engine.now() + timedelta(seconds=plan.requeue_after or 0)
        due = make_plan(desired, observed, self.object.status, later)
        assert due.steps
        return await self.carry_out(due, observed, desired)

    async def carry_out(self, plan: Plan, observed: Observed, desired: Desired | None) -> Plan:
        container = observed.container
        self.rested = bool(desired and desired.state in ("Stopped", "Killed") and container)
        execution = Execution(
            self.driver, self.notebook, self.key, None, lambda _step, _text: None, self.engine.now
        )
        outcome = await execution.run(plan)
        after = Observed(await self.driver.inspect(self.key), observed.image_present, observed.network_id)
        status = workload_status(self.object, desired, after, outcome, None, self.engine.now())
        self.object = Object(
            self.key,
            self.object.manifest,
            self.object.generation,
            status=status,
            deleting=self.object.deleting,
        )
        is_refusal = outcome.failure is not None and not outcome.failure.retry
        return Plan() if is_refusal else plan

    def desired(self) -> Desired | None:
        return desired_container(self.object, None, Directories(Path("/state")), mount_shared=False)

    def do(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        for found in self.engine.containers.values():
            self.do(self.now(partial(self.engine.end, found, 0)))
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()


class JobPlanner(Planner):
    """The same for a job: it runs, or has run to an end that it may have."""

    key = Key("test", "Job", "web")
    specs = JOBS

    def is_as_wished(self) -> None:
        desired, found = self.desired(), self.engine.containers.get("test.web")
        status = self.object.status
        if desired is None:
            assert found is None
            return
        completed, failed = (
            status.is_true(type_) for type_ in (ConditionType.COMPLETED, ConditionType.FAILED)
        )
        if found is None:
            assert completed or failed
            return
        # Fewer retries than it has had are no reason to end what runs.
        assert found.view.attempt <= MOST_RETRIES
        if found.view.phase is ContainerPhase.EXITED:
            assert (completed, failed) == (found.view.exit_code == 0, found.view.exit_code != 0)
            assert completed or found.view.attempt >= desired.retries
        else:
            assert found.view.phase is ContainerPhase.RUNNING
            assert found.view.spec_hash == desired.spec_hash


LIMITS = settings(max_examples=soak("EXAMPLES", 60), stateful_step_count=15, deadline=None)
TestPlanner = Planner.TestCase
TestPlanner.settings = LIMITS
TestJobPlanner = JobPlanner.TestCase
TestJobPlanner.settings = LIMITS
