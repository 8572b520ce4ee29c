"""`e2e policy`: what a controller's policy has to say, before there is a controller."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import yaml

from e2e.cli.controller_side import ask
from e2e.cli.options import files_option
from e2e.cli.output import print_documents, print_table
from e2e_api.errors import E2EError

DENIED, FAILED = 1, 2
_HEADERS = ("ENVIRONMENT", "KIND", "NAME", "RESULT")
_SECONDS = 120.0

policy_option = click.option(
    "--policy",
    metavar="POLICY",
    default="",
    help="permissive, restricted, or a file with rules. Default: what E2E_POLICY names, else restricted.",
)


@click.group(short_help="Show a policy, or what it says to manifests.")
def command() -> None:
    """What manifests may ask for; `e2e-controller --policy` takes the same."""


@command.command()
@policy_option
@click.option("-o", "--output", "form", type=click.Choice(("json", "yaml")), default="yaml")
def show(policy: str, form: str) -> None:
    """Prints all rules of a policy, those of its preset included.

    Of a file that is wrong it says what is, with 1; a controller that runs goes on with the rules before.
    """
    rules = _answer(policy, "show")["policy"]
    text = json.dumps(rules, indent=2) if form == "json" else yaml.safe_dump(rules, sort_keys=False).strip()
    click.echo(text)


@command.command()
@files_option
@policy_option
@click.option("-o", "--output", "form", type=click.Choice(("json", "yaml")), help="For machines.")
def check(files: tuple[str, ...], policy: str, form: str | None) -> int:
    """Says of each object in files and folders whether it is allowed; needs neither controller nor engine.

    Ends with 0 when all is allowed, with 1 when something is denied, with 2 when something is no valid
    manifest, or the policy itself is wrong.
    """
    missing = [file for file in files if not Path(file).exists()]
    if not files or missing:
        raise click.UsageError(f"there is no {missing[0]}" if missing else "give -f FILE or -f FOLDER")
    try:
        objects: list[Mapping[str, str]] = _answer(policy, "check", *files)["objects"]
    except E2EError as error:
        click.echo(f"error: {error}", err=True)
        return FAILED
    if form:
        print_documents(objects, form)
    else:
        print_table(_HEADERS, [_row(found) for found in objects])
        for found in objects:
            if found["message"]:
                click.echo(found["message"], err=True)
    results = {found["result"] for found in objects}
    return FAILED if "invalid" in results else DENIED if "denied" in results else 0


def _answer(policy: str, *arguments: str) -> Mapping[str, Any]:
    answer = ask("policing", *(["--policy", policy] if policy else []), *arguments, seconds=_SECONDS)
    if "error" in answer:
        raise E2EError(str(answer["error"]))
    return answer


def _row(found: Mapping[str, str]) -> Sequence[str]:
    return (found["environment"], found["kind"], found["name"] or found["source"], found["result"])
