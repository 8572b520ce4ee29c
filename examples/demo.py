"""The main job, on real programs: `make demo`.

A controller watches an empty folder. Five manifests are dropped into it: two Prometheus that scrape
themselves, a Thanos sidecar beside each, and a Thanos querier that knows both sidecars. What follows is told
through the SDK, with the programs' own metrics. All names are this run's own, so that several may go at once,
and whatever happens, nothing of it is left behind.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from demo_signals import INTERRUPTS, Interrupted
from demo_stage import Stage
from rich.console import Console
from rich.table import Table

import e2e
from e2e import equals, greater
from e2e.cli.keys import Key
from e2e.cli.progress import Progress

MANIFESTS = Path(__file__).resolve().parent / "manifests" / "thanos"
CONNECTIONS = "thanos_store_nodes_grpc_connections"
SAMPLES = "prometheus_tsdb_head_samples_appended_total"
TIMEOUT = 120.0


class Story:
    """The steps, one after the other, and how long each took."""

    def __init__(self, stage: Stage, console: Console) -> None:
        self._stage = stage
        self._console = console
        self._env = e2e.Environment.attach(stage.environment, controller=stage.address, timeout=TIMEOUT)
        self.title = "start a controller on an empty folder"
        self.times: list[tuple[str, float]] = []

    def tell(self) -> None:
        """All of it. `title` is the step that is under way, should one fail."""
        with self.step(self.title):
            self._stage.wait_serving()
        with e2e.Client.connect(self._stage.address) as client, self._env as env:
            self._start(client, env)
            self._assert_on_metrics(env)
            with self.step("4. query up{} through the querier: both series"):
                self._show_up(env, ["prometheus-1", "prometheus-2"])
            self._stop_half(client, env)
            self._delete(client)

    def _start(self, client: e2e.Client, env: e2e.Environment) -> None:
        manifests = {path.stem: path.read_text() for path in sorted(MANIFESTS.glob("*.yaml"))}
        title = f"1. drop {len(manifests)} manifests, wait until all are ready"
        with self.step(title), self._progress(client):
            for name, text in manifests.items():
                self._stage.drop(name, text)
            env.wait_ready(*manifests)

    def _assert_on_metrics(self, env: e2e.Environment) -> None:
        with self.step("2. wait until the querier is connected to both sidecars"):
            with self._console.status(CONNECTIONS):
                sums = env.get("query-1").wait_sum_metrics(equals(2), CONNECTIONS)
            self._show_sums(sums)
        with self.step("3. wait until each Prometheus has more than 50 samples"):
            for name in ("prometheus-1", "prometheus-2"):
                with self._console.status(f"{name}: {SAMPLES}"):
                    sums = env.get(name).wait_sum_metrics(greater(50), SAMPLES)
                self._show_sums(sums, name)

    def _stop_half(self, client: e2e.Client, env: e2e.Environment) -> None:
        pair = ("sidecar-1", "prometheus-1")
        with self.step("5. set state: Stopped in two manifests, wait for one connection less"):
            with self._progress(client, pair):
                for name in pair:
                    self._stage.stop(name)
                sums = env.get("query-1").wait_sum_metrics(equals(1), CONNECTIONS)
            self._show_sums(sums)
            self._show_up(env, ["prometheus-2"])

    def _delete(self, client: e2e.Client) -> None:
        with self.step("6. remove all manifests, wait until nothing is left"):
            before = self._stage.holds()
            environment = self._stage.environment
            keys = [Key.of(found.key) for found in client.list_objects(environment)]
            with self._progress(client):
                self._stage.take_manifests_away()
                client.wait([key.message() for key in keys], e2e.Goal.DELETED, TIMEOUT)
            after = self._stage.holds()
            for kind, names in before.items():
                self._say(f"{kind}: {len(names)} before, {len(after[kind])} now")
            left = [name for names in after.values() for name in names]
            if left:
                raise e2e.E2EError(f"still there: {', '.join(left)}")

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """One step with its time."""
        self.title = title
        self._console.print(f"\n{title}", style="bold", markup=False, soft_wrap=True)
        began = time.perf_counter()
        yield
        self.times.append((title, time.perf_counter() - began))

    def evidence(self) -> str:
        """What else is known when a step has failed."""
        if not self._stage.served:
            return ""
        try:
            with e2e.Client.connect(self._stage.address) as client:
                found = client.list_objects(self._stage.environment)
        except e2e.E2EError:
            return f"\nthe controller's log ends with:\n{self._stage.log_end()}"
        lines = [f"{it.key.name}: {it.status.summary} {it.status.progress}".rstrip() for it in found]
        return "\n".join(["", *lines])

    def _progress(self, client: e2e.Client, names: Sequence[str] = ()) -> Progress:
        environment = self._stage.environment
        keys = [Key(environment, "Workload", name) for name in names]
        return Progress(client, environment=environment, keys=keys or None, console=self._console)

    def _show_up(self, env: e2e.Environment, expected: list[str]) -> None:
        """Asks the querier from outside, as any of its clients would."""
        wanted = dict.fromkeys(expected, 1.0)
        queries = e2e.Queries(env.get("query-1"))
        # On a busy machine a scrape may fail, and the next does not.
        found = queries.wait_query("up{}", lambda result: result.by("prometheus") == wanted)
        for line in sorted(str(found).splitlines()):
            self._say(line)

    def _show_sums(self, sums: dict[str, float], name: str = "") -> None:
        for metric, value in sums.items():
            self._say(f"{name + ': ' if name else ''}{metric} is {value:g}")

    def _say(self, text: str) -> None:
        self._console.print(f"   {text}", markup=False, highlight=False, soft_wrap=True)


def show_times(console: Console, times: Sequence[tuple[str, float]]) -> None:
    """The table at the end."""
    table = Table("step", "seconds", box=None, pad_edge=False, header_style="bold")
    table.columns[1].justify = "right"
    for title, seconds in [*times, ("all steps", sum(seconds for _, seconds in times))]:
        table.add_row(title, f"{seconds:.2f}")
    console.print()
    console.print(table)


def main() -> int:
    """Gives the exit code: 0, or 1 where a step failed, 130 after Ctrl+C."""
    console = Console(highlight=False)
    stage: Stage | None = None
    left: list[str] = []
    code = 1
    try:
        stage = Stage()
        console.print(f"environment {stage.environment}, folders in {stage.root}", soft_wrap=True)
        INTERRUPTS.let_through()
        code = tell(Story(stage, console), console)
    except Interrupted as interrupted:
        console.print(f"\n{interrupted}: removing what there is", soft_wrap=True)
        code = interrupted.exit_code
    finally:
        INTERRUPTS.hold()
        if stage is not None:
            left = stage.clear()
        INTERRUPTS.ignore()
        for text in left:
            console.print(f"could not be removed: {text}", style="red", markup=False, soft_wrap=True)
    return code or bool(left)


def tell(story: Story, console: Console) -> int:
    """Tells the story; on a failure says which step, why, and what is known."""
    try:
        story.tell()
    except (e2e.E2EError, OSError, ValueError, KeyError) as error:
        console.print(f"\nfailed: {story.title}", style="bold red", markup=False, soft_wrap=True)
        console.print(f"{error}\n{story.evidence()}", markup=False, soft_wrap=True)
        return 1
    show_times(console, story.times)
    return 0


if __name__ == "__main__":
    sys.exit(main())
