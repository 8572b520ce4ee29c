"""`e2e up`: what manifests define, for as long as somebody looks at it."""

import queue
from collections.abc import Collection, Iterable, Sequence
from types import TracebackType
from typing import Any, Self

import click
from rich.console import Console

from e2e import Client, E2EError, Environment, Goal, Unavailable, endings
from e2e.cli.files import Followed, Given, batches, read_manifests
from e2e.cli.keys import Key
from e2e.cli.options import connect, environment_option, timeout_option
from e2e.cli.progress import Progress
from e2e.cli.waiting import messages, wait_and_show
from e2e.messages import is_defined_by_user
from e2e.specs import to_documents

_LOOK_SECONDS = 0.25


@click.command(short_help="Keep what manifests define, for as long as this runs.")
@click.argument(
    "paths", nargs=-1, required=True, metavar="FILE|FOLDER...", type=click.Path(exists=True, allow_dash=False)
)
@environment_option
@click.option("--keep", is_flag=True, help="Leave everything as it is at the end.")
@click.option("--wait", is_flag=True, help="End when everything is as its manifest asks, or never will be.")
@timeout_option
@click.pass_context
def command(
    context: click.Context,
    paths: tuple[str, ...],
    environment: str | None,
    keep: bool,
    wait: bool,
    timeout: float,
) -> None:
    """Applies manifests, shows how what they define is, and deletes it when it is interrupted (Ctrl+C).

    Meanwhile it follows the files: what changes is applied, what is removed is deleted, mistakes are shown
    and change nothing. What fails is shown with evidence, and the others go on. Should this process be
    killed, the controller deletes everything. Manifests find their environment as with `e2e apply`.

    With --wait it follows nothing, and ends with 0 once all is ready and all jobs have completed, or with 1
    and the evidence as soon as something never will; the time for that, and for the deletion, is --timeout.
    """
    given = read_manifests(paths, environment)
    followed = Followed(paths, environment)
    with connect(context) as client, Kept(client, context.obj, timeout, keep=keep) as kept:
        if wait:
            kept.apply(given)
            wait_and_show(client, list(kept.documents), Goal.RECONCILED, timeout)
        else:
            _run(client, kept, given, followed)


def _run(client: Client, kept: "Kept", given: Sequence[Given], followed: Followed) -> None:
    """Returns when the process is asked to end."""
    asked: queue.SimpleQueue[None] = queue.SimpleQueue()
    console = Console(highlight=False)
    with endings.signals(lambda: asked.put(None)):
        kept.apply(given)
        if not console.is_terminal:
            console.print(kept.footer, soft_wrap=True)
        with Progress(client, keys=kept.documents.keys(), console=console, footer=kept.footer) as progress:
            told = ""
            while not _is_asked(asked):
                problems = _follow(kept, followed)
                if problems is not None and problems != told:
                    told = problems
                    progress.say(problems or "all manifests are applied again")


def _is_asked(asked: "queue.SimpleQueue[None]") -> bool:
    try:
        asked.get(timeout=_LOOK_SECONDS)
    except queue.Empty:
        return False
    return True


def _follow(kept: "Kept", followed: Followed) -> str | None:
    """Does what files that changed ask for; gives what is wrong now, None where nothing changed."""
    found = followed.changed()
    if found is None:
        return None
    given, problems = found
    try:
        kept.apply(given)
        if not problems:  # else it may just be misspelt
            kept.remove(kept.documents.keys() - {it.key for it in given})
    except E2EError as error:
        if isinstance(error, Unavailable):
            followed.again()
        return f"{problems}\n{error}".strip()
    return problems


class Kept:
    """What was applied, and the environments that are held for it."""

    def __init__(self, client: Client, controller: Any, timeout: float, *, keep: bool) -> None:
        self.documents: dict[Key, str] = {}
        self._client = client
        self._controller = controller
        self._timeout = timeout
        self._keep = keep
        self._environments: dict[str, Environment] = {}
        self._tried: set[Key] = set()  # also what a call that failed may have applied

    @property
    def footer(self) -> str:
        """What the end will do."""
        return "Ctrl+C ends this, and leaves everything" if self._keep else "Ctrl+C deletes everything"

    def apply(self, given: Iterable[Given]) -> None:
        """Applies what is not so yet."""
        texts = {it.key: to_documents([it.manifest]) for it in given}
        changed = [it for it in given if self.documents.get(it.key) != texts[it.key]]
        for name in {it.key.environment for it in changed} - self._environments.keys():
            environment = Environment(
                name, shared=True, keep=self._keep, controller=self._controller, timeout=self._timeout
            )
            self._environments[name] = environment.start()
        self._tried |= {it.key for it in changed}
        for documents in batches(changed):
            self._client.apply(documents)
        self.documents |= {it.key: texts[it.key] for it in changed}

    def remove(self, keys: Collection[Key]) -> None:
        """Deletes these, and does not wait."""
        if not keys:
            return
        there = {Key.of(found.key) for found in self._client.list_objects()}
        self._client.delete(messages(key for key in keys if key in there))
        for key in keys:
            del self.documents[key]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        try:
            keys = [] if self._keep else [key for name in self._environments for key in self._delete(name)]
        finally:
            for environment in self._environments.values():
                environment.close()
        if keys:
            wait_and_show(self._client, keys, Goal.DELETED, self._timeout)

    def _delete(self, environment: str) -> list[Key]:
        """Deletes what was applied there, and the environment if nothing else is in it; gives the keys."""
        there = {Key.of(found.key): found for found in self._client.list_objects(environment)}
        ours = [key for key in there if key in self._tried and not is_defined_by_user(there[key])]
        own = Key(environment, "Environment", environment)
        if there.keys() <= {*ours, own}:
            self._client.delete_environment(environment)
            return [*ours, own] if own not in ours else ours
        if ours:
            self._client.delete(messages(ours))
        # What others have in it stays when the claim ends.
        self._client.hold(environment, fresh=False, keep=True, timeout=self._timeout).release()
        return ours
