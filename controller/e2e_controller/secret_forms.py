"""How texts may have a secret: as it is, a line of it alone, escaped, encoded. Pure."""

import base64
import html
import json
import re
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import quote, quote_plus

SHORTEST = 4
"""Characters of what is looked for: less stands everywhere by chance."""
_LEAST_BASE64 = 8
_LEAST_LINE = 12
"""Characters of a line of a secret that is hidden where it stands alone, as those of keys do in logs."""
_MOST_LINES = 200
_WIDTHS = (76, 64)
"""Characters of a line of base64, as `base64` and `openssl` write it."""
_SAFE_IN_URLS = ("", "/", "!~*'()", "$&+,;=", "$&+,/:;=@", ";,/?:@&=+$!*'()#")
"""What is left as it is: by most, by Python, by a browser in a part, by Go in a password and in a path, by a
browser in a whole."""
_ESCAPED_BY_GO = {ord(letter): f"\\u{ord(letter):04x}" for letter in "&<>"}


@lru_cache(maxsize=2_000)
def forms_of(secret: str) -> frozenset[str]:
    """All of them that are not too short."""
    return frozenset(form for form in _made_of(secret) if len(form) >= SHORTEST)


def _made_of(secret: str) -> Iterable[str]:
    lines = [line for line in secret.splitlines()[:_MOST_LINES] if len(line) >= _LEAST_LINE]
    for text in (secret, *lines):
        yield text
        yield repr(text)[1:-1]
        for escaped in (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]):
            yield escaped
            yield escaped.replace("/", "\\/")
            yield escaped.translate(_ESCAPED_BY_GO)
        yield from _in_html(text)
    data = secret.encode("utf-8", "surrogateescape")
    for url in (*(quote(data, safe=safe) for safe in _SAFE_IN_URLS), quote_plus(data)):
        yield url
        yield re.sub("%..", lambda found: found[0].lower(), url)
    yield from _in_base64(data)


def _in_html(text: str) -> Iterable[str]:
    """With and without quotes escaped, by name and by number."""
    escaped = html.escape(text, quote=False)
    yield escaped
    yield escaped.replace('"', "&quot;").replace("'", "&#x27;")
    yield escaped.replace('"', "&quot;").replace("'", "&#39;")
    yield escaped.replace('"', "&#34;").replace("'", "&#39;")


def _in_base64(data: bytes) -> Iterable[str]:
    """What base64 makes of it wherever it stands in what is encoded, as behind a user's name and a colon."""
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + data).decode().rstrip("=")
        begins = (0, 2, 3)[before]
        whole = (before + len(data)) // 3 * 4  # beyond, it depends on what follows
        core = encoded[begins:whole]
        if len(core) >= _LEAST_BASE64:
            yield core
            yield core.translate(str.maketrans("+/", "-_"))
    encoded = base64.b64encode(data[: len(data) // 3 * 3]).decode()
    for width in _WIDTHS if len(encoded) > min(_WIDTHS) else ():
        lines = (encoded[start : start + width] for start in range(0, len(encoded), width))
        yield from [line for line in lines if len(line) >= _LEAST_LINE][:_MOST_LINES]
