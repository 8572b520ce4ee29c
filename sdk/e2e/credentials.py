"""What is shown to a controller that is reached over TCP, and what it has to show.

Files are named by arguments or variables; nothing of a token is in any text that this makes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from e2e_api.errors import InvalidArgument

if TYPE_CHECKING:
    import grpc

TOKEN, TOKEN_FILE = "E2E_TOKEN", "E2E_TOKEN_FILE"
CA_FILE, CLIENT_CERT, CLIENT_KEY = "E2E_CA_FILE", "E2E_CLIENT_CERT", "E2E_CLIENT_KEY"
_TOKEN_TEXT = re.compile(r"[!-~]+")
_LONGEST_FILE = 2**20


@dataclass(frozen=True, slots=True)
class Credentials:
    """A token, and the files of TLS; all of it may be missing."""

    token: str = field(default="", repr=False)
    token_file: str = ""
    """Read at each call, so that a renewed token counts."""
    ca_file: str = ""
    """Certificates in PEM, one of which signed the controller's; without it, the system's are believed."""
    client_cert: str = ""
    client_key: str = ""

    def __post_init__(self) -> None:
        if self.token and self.token_file:
            raise InvalidArgument(f"give a token or a file with it, not both ({TOKEN}, {TOKEN_FILE})")
        if bool(self.client_cert) != bool(self.client_key):
            raise InvalidArgument(
                f"a client's certificate and its key belong together ({CLIENT_CERT}, {CLIENT_KEY})"
            )

    @property
    def has_token(self) -> bool:
        """Whether there is a token to show."""
        return bool(self.token or self.token_file)

    @property
    def has_tls(self) -> bool:
        """Whether they only make sense with TLS."""
        return bool(self.ca_file or self.client_cert)

    def or_from(self, variables: Mapping[str, str]) -> "Credentials":
        """These, and from the variables what is missing."""
        ours = self.has_token
        return Credentials(
            token=self.token if ours else variables.get(TOKEN, ""),
            # A token in both variables is nobody's choice: the nearer one counts.
            token_file=self.token_file if ours or variables.get(TOKEN) else variables.get(TOKEN_FILE, ""),
            ca_file=self.ca_file or variables.get(CA_FILE, ""),
            client_cert=self.client_cert or variables.get(CLIENT_CERT, ""),
            client_key=self.client_key or variables.get(CLIENT_KEY, ""),
        )

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What each call carries. Raises InvalidArgument where the token cannot be had."""
        if not self.has_token:
            return ()
        where = f"{self.token_file} ({TOKEN_FILE})" if self.token_file else TOKEN
        token = self.token or _read(self.token_file, TOKEN_FILE).decode("utf-8", "replace").strip()
        if not _TOKEN_TEXT.fullmatch(token):
            raise InvalidArgument(f"{where} has no token: visible ASCII characters without spaces")
        return (("authorization", f"Bearer {token}"),)

    def channel_credentials(self) -> "grpc.ChannelCredentials":
        """For TLS. Raises InvalidArgument where a file cannot be read."""
        import grpc

        ca, certificate, key = (
            _read(path, variable) if path else None
            for path, variable in (
                (self.ca_file, CA_FILE),
                (self.client_cert, CLIENT_CERT),
                (self.client_key, CLIENT_KEY),
            )
        )
        return grpc.ssl_channel_credentials(ca, key, certificate)


def _read(path: str, variable: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            data = file.read(_LONGEST_FILE)
    except OSError as error:
        raise InvalidArgument(f"cannot read {path} ({variable}): {error.strerror}") from error
    if not data.strip():
        raise InvalidArgument(f"{path} ({variable}) is empty")
    return data
