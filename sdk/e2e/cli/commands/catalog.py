"""`e2e catalog`: ready-made manifests."""

import click

from e2e import catalog
from e2e.cli.options import environment_option


@click.command(short_help="List ready-made systems, or print the manifests of one.")
@click.argument("name", required=False)
@environment_option
def command(name: str | None, environment: str | None) -> None:
    """Lists the systems there are, or prints the manifests of NAME, to be put into a folder or applied."""
    if name:
        click.echo(catalog.manifests(name, environment or ""), nl=False)
        return
    found = catalog.systems()
    width = max((len(system.name) for system in found), default=0)
    for system in found:
        click.echo(f"{system.name:<{width}}  {system.summary}")
