"""`e2e get`: objects as a table, or for machines."""

import click

from e2e import Client, NotFound
from e2e.cli.keys import KINDS, Key, parse_kind, parse_name
from e2e.cli.options import connect, environment_option
from e2e.cli.output import (
    HEADERS,
    WIDE_HEADERS,
    as_document,
    now,
    print_documents,
    print_table,
    problem_lines,
    row,
)
from e2e.cli.watching import watch_table
from e2e.messages import CONTAINER_KINDS
from e2e_api.v1 import object_pb2

FORMS = ("wide", "json", "yaml", "name")


@click.command(short_help="List objects, or show some.")
@click.argument("what", required=False, metavar="[KIND|KIND/NAME|NAME]")
@environment_option
@click.option("-o", "--output", "form", type=click.Choice(FORMS), help="More columns, or for machines.")
@click.option("-w", "--watch", is_flag=True, help="Go on, and show each change.")
@click.pass_context
def command(
    context: click.Context, what: str | None, environment: str | None, form: str | None, watch: bool
) -> None:
    """Lists the objects of one environment or of all; KIND or KIND/NAME chooses some of them."""
    wanted = _Wanted(what, environment)
    with connect(context) as client:
        if watch:
            watch_table(client, wanted.environment, wanted.matches, form)
            return
        found = wanted.select(client)
    if wanted.name and not found:
        kind = wanted.kind or " or ".join(CONTAINER_KINDS)
        raise NotFound(f"there is no {kind} {wanted.name}" + (f" in {environment}" if environment else ""))
    _show(found, form, single=bool(wanted.name) and len(found) == 1)


class _Wanted:
    """Which objects are asked for."""

    def __init__(self, what: str | None, environment: str | None) -> None:
        self.environment, self.kind, self.name = environment or "", "", ""
        lowered = (what or "").lower()
        if what and (lowered in KINDS or lowered.removesuffix("s") in KINDS):
            self.kind = parse_kind(what)
        elif what:
            self.environment, self.kind, self.name = parse_name(what, environment)

    def select(self, client: Client) -> list[object_pb2.Object]:
        """The objects as they are now."""
        objects = client.list_objects(self.environment, self.kind)
        return [found for found in objects if self.matches(Key.of(found.key))]

    def matches(self, key: Key) -> bool:
        """Whether the object is asked for."""
        return (
            self.environment in ("", key.environment)
            and self.kind in ("", key.kind)
            and self.name in ("", key.name)
        )


def _show(found: list[object_pb2.Object], form: str | None, *, single: bool) -> None:
    if form == "name":
        for item in found:
            click.echo(Key.of(item.key))
        return
    if form in ("json", "yaml"):
        documents = [as_document(item) for item in found]
        print_documents(documents[0] if single else documents, form)
        return
    if not found:
        click.echo("nothing is there", err=True)
        return
    wide = form == "wide"
    at = now()
    print_table(WIDE_HEADERS if wide else HEADERS, [row(item, at, wide=wide) for item in found])
    problems = problem_lines(found)
    if problems:
        click.echo()
        click.echo("\n".join(problems))
