"""`e2e certs`: certificates for a controller and its clients."""

import shlex
import socket
from pathlib import Path

import click

_DAYS = 30
_LONGEST_DAYS = 825


@click.command(short_help="Make or renew certificates for a controller and its clients.")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--host",
    "hosts",
    metavar="NAME",
    multiple=True,
    help="A name or address that clients reach the controller by; may be given several times. "
    "Default: this machine's name. localhost, 127.0.0.1 and ::1 always are.",
)
@click.option("--client", metavar="NAME", default="ci", show_default=True, help="The client's name.")
@click.option(
    "--days",
    type=click.IntRange(1, _LONGEST_DAYS),
    default=_DAYS,
    show_default=True,
    help="How long they are valid.",
)
def command(folder: Path, hosts: tuple[str, ...], client: str, days: int) -> None:
    """Makes a CA in FOLDER, and signs a certificate for the controller and one for a client.

    Run again, it keeps what is good, the CA above all, and renews what ends soon; a controller that runs
    takes new ones by itself. Files that it has not made stay as they are.
    """
    from e2e import certificates  # here, as cryptography takes a while to load

    names = [*(hosts or [socket.gethostname()]), "localhost", "127.0.0.1", "::1"]
    for made in certificates.make(folder, names, client=client, days=days):
        state = "kept" if made.kept else "new"
        click.echo(f"{made.path}: {state}, valid until {made.not_after:%Y-%m-%d %H:%M} UTC", err=True)
    place = shlex.quote(str(folder.absolute()))
    click.echo(f"controller: --tls-cert {place}/server.crt --tls-key {place}/server.key", err=True)
    click.echo(f"and for clients with certificates only: --tls-client-ca {place}/ca.crt", err=True)
    click.echo(f"export E2E_CA_FILE={place}/ca.crt")
    click.echo(f"export E2E_CLIENT_CERT={place}/client.crt")
    click.echo(f"export E2E_CLIENT_KEY={place}/client.key")
