"""`e2e token`: what a controller knows its clients by."""

import hashlib
import re
import secrets
import shlex
from pathlib import Path

import click

from e2e_api.errors import E2EError

_BYTES = 32


@click.command(short_help="Make a token for a controller and its clients.")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def command(file: Path) -> None:
    """Writes a new token to FILE, which only this user can read; one that is there already stays.

    On standard output is how clients are told of it, and its digest, for a controller that needs not know it.
    """
    from e2e.certificates import write_private  # here, as cryptography takes a while to load

    if not file.exists():
        write_private(file, f"{secrets.token_urlsafe(_BYTES)}\n".encode())
        click.echo(f"{file}: new", err=True)
    else:
        click.echo(f"{file}: kept", err=True)
    try:
        token = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise E2EError(f"cannot read {file}: {error}") from error
    if not re.fullmatch("[!-~]{16,}", token):
        raise E2EError(f"{file} is there already, and holds no token: remove it, or give another name")
    click.echo(f"export E2E_TOKEN_FILE={shlex.quote(str(file.absolute()))}")
    click.echo(f"# sha256: {hashlib.sha256(token.encode()).hexdigest()}")
