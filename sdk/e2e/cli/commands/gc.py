"""`e2e gc`: what controllers left that do not run any more."""

from collections.abc import Iterator, Mapping, Sequence

import click

from e2e.cgroups.leftovers import find_leftovers
from e2e.cli.checks import named_controller
from e2e.cli.controller_side import ask
from e2e.cli.output import print_documents, print_table
from e2e_api.errors import E2EError

_HEADERS = ("CONTROLLER", "STATE", "ENVIRONMENT", "KIND", "NAME", "RESULT")
_SECONDS = 1800.0
_RESULTS = {"found": "found", "removed": "removed", "failed": "not removed"}


@click.command(short_help="Remove what controllers left that do not run.")
@click.option("--dry-run", is_flag=True, help="List it, and remove nothing.")
@click.option(
    "--controller",
    "owner",
    metavar="ID",
    default="",
    help="Only what this one left; by its name also where it cannot be seen from here whether it runs.",
)
@click.option("-o", "--output", "form", type=click.Choice(("json", "yaml")), help="For machines.")
@click.pass_context
def command(context: click.Context, dry_run: bool, owner: str, form: str | None) -> int:
    """Removes what controllers left: containers, networks, volumes, images, folders.

    And empty cgroups of test processes that were killed.

    A controller is stopped if its state folder is there, orphaned if that is gone, and unknown if that is on
    another machine. What runs is never touched, and what is unknown only by name. Manifests stay, but for
    those of environments that a client held. Ends with 1 when something could not be removed, or no engine is
    reached from here: then only cgroups were looked at.
    """
    arguments = [*([] if dry_run else ["--remove"]), *(["--controller", owner] if owner else [])]
    answer = ask("gc", *arguments, seconds=_SECONDS)
    trouble = str(answer.get("error", ""))
    if trouble and owner:
        raise E2EError(trouble)
    things: list[Mapping[str, str]] = [*answer.get("things", ()), *([] if owner else _cgroups(dry_run))]
    if form:
        print_documents(things, form)
    elif things:
        print_table(_HEADERS, [_row(thing) for thing in things])
    elif not trouble:
        click.echo("nothing is left behind", err=True)
    if not form:
        _explain(things, dry_run=dry_run, named=bool(owner))
    if trouble:
        raise E2EError(_unseen(trouble, named_controller(context.obj)))
    return int(any(thing["result"] == "failed" for thing in things))


def _cgroups(dry_run: bool) -> Iterator[Mapping[str, str]]:
    """Those of processes that were killed."""
    for left in find_leftovers():
        told = {"controller": "-", "state": "orphaned", "environment": left.environment}
        result, reason = "found" if dry_run else "removed", ""
        try:
            if not dry_run:
                left.remove()
        except E2EError as error:
            result, reason = "failed", error.message
        told |= {"stateDirectory": "", "kind": "cgroup", "name": left.path}
        yield {**told, "result": result, "reason": reason}


def _unseen(trouble: str, controller: str) -> str:
    """What was not done, and where it can be."""
    elsewhere = (
        f"; the controller at {controller} has an engine: `e2e gc` there looks at it" if controller else ""
    )
    return f"containers, networks, volumes, images and folders were not looked at: {trouble}{elsewhere}"


def _row(thing: Mapping[str, str]) -> Sequence[str]:
    result = _RESULTS[thing["result"]]
    return (
        *(thing["controller"], thing["state"], thing["environment"] or "-", thing["kind"], thing["name"]),
        result,
    )


def _explain(things: Sequence[Mapping[str, str]], *, dry_run: bool, named: bool) -> None:
    """Why something is still there, on standard error."""
    for thing in things:
        if thing["result"] == "failed":
            click.echo(f"{thing['kind']} {thing['name']} stays: {thing['reason']}", err=True)
    unknown = sorted({thing["controller"] for thing in things if thing["state"] == "unknown"})
    if unknown and not dry_run and not named:
        click.echo(
            f"whether {', '.join(unknown)} runs cannot be seen from here, so nothing of it was touched; "
            "`e2e gc --controller ID` removes it",
            err=True,
        )
