"""As whom a metrics page is asked for, and whom is taken for its server."""

from __future__ import annotations

import base64
import ssl
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import takewhile
from typing import Any

from e2e_api.manifests import Metrics, Tls
from e2e_api.secrets import MASK

_SHORTEST = 4
"""Characters of a secret that is looked for in texts: a shorter one stands everywhere by chance."""
_HEAD = 8
"""Characters that make it likely to be the secret, should the text end within it."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """The credentials to show, and how the server's certificate is verified."""

    authorization: str = field(default="", repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """What must not be told of them."""
    server_name: str | None = None
    """What the certificate must be for; None: it is not verified, or by its host."""
    ca: str | None = field(default=None, repr=False)
    verifies: bool = False

    @property
    def headers(self) -> dict[str, str]:
        """To send with each request."""
        return {"Authorization": self.authorization} if self.authorization else {}

    def verification(self) -> dict[str, Any]:
        """Options of an aiohttp request for the certificate; without any, it takes all."""
        options: dict[str, Any] = {"ssl": _context(self.ca)} if self.verifies else {}
        return {**options, "server_hostname": self.server_name} if self.server_name else options

    def hide(self, text: str) -> str:
        """The text without the credentials."""
        for secret in self.secrets:
            text = _without(secret, text)
        return text


ANYBODY = Visitor()
"""Shows nothing, and takes any certificate."""


def visitor_of(metrics: Metrics, workload: str) -> Visitor:
    """As whom the manifest asks for the page of that workload."""
    authorization: str = ""
    secrets: tuple[str, ...] = ()
    if metrics.basic_auth is not None:
        password = metrics.basic_auth.password
        pair = f"{metrics.basic_auth.username}:{password}"
        encoded = base64.b64encode(pair.encode()).decode()
        authorization, secrets = f"Basic {encoded}", (encoded, password)
    elif metrics.bearer_token is not None:
        authorization, secrets = f"Bearer {metrics.bearer_token}", (metrics.bearer_token,)
    told = tuple(secret for secret in secrets if len(secret) >= _SHORTEST)
    return Visitor(authorization, told, **_trust(metrics.tls, workload))


def _trust(tls: Tls | None, workload: str) -> dict[str, Any]:
    if tls is None:
        return {}
    if tls.insecure_skip_verify:
        return {"server_name": tls.server_name}
    return {"server_name": tls.server_name or workload, "ca": tls.ca, "verifies": True}


def _without(secret: str, text: str) -> str:
    """The text without the secret, nor its beginning where the text was cut."""
    head, position = secret[:_HEAD], 0
    while (start := text.find(head, position)) >= 0:
        pairs = zip(secret, text[start:], strict=False)
        told = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        text = f"{text[:start]}{MASK}{text[start + told :]}"
        position = start + len(MASK)
    return text


@lru_cache(maxsize=64)
def _context(ca: str | None) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=ca)
