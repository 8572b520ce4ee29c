"""What is secret, and how it is hidden wherever something is shown. Pure.

Secret are the values of variables whose names say so, and passwords in URLs. Wherever such a value stands
elsewhere, in a log for one, `Mask` hides it too. What a file or a command line holds is nobody's secret.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

MASK = "********"
_NAMES = re.compile(r"(?i)passw|secret|token|credential|api_?key|private_?key|access_?key|auth")
_URL_PASSWORD = re.compile(r"(?<=://)([^\s/:@]*):([^\s/@]+)@")
_SHORTEST = 4
"""Characters of a value that is looked for elsewhere: a shorter one stands everywhere by chance."""


def masked_value(name: str, value: str) -> str:
    """What may be shown of a variable."""
    return MASK if value and _NAMES.search(name) else _URL_PASSWORD.sub(rf"\1:{MASK}@", value)


def masked_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables as they may be shown."""
    return {name: masked_value(name, value) for name, value in variables.items()}


def masked_manifest(document: Mapping[str, Any]) -> dict[str, Any]:
    """A manifest's document as it may be shown."""
    spec = document.get("spec") or {}
    if not spec.get("env"):
        return dict(document)
    return {**document, "spec": {**spec, "env": masked_variables(spec["env"])}}


def secrets_of(variables: Mapping[str, str]) -> set[str]:
    """The secret values among the variables, without those that are too short to be looked for."""
    found = {value for name, value in variables.items() if _NAMES.search(name)}
    for value in variables.values():
        found |= {password for _, password in _URL_PASSWORD.findall(value)}
    return {value for value in found if len(value) >= _SHORTEST and value != MASK}


def variables_of(inspected: Mapping[str, Any]) -> dict[str, str]:
    """The variables of a container as its engine shows it."""
    pairs = (entry.partition("=") for entry in (inspected.get("Config") or {}).get("Env") or ())
    return {name: value for name, _, value in pairs}


def masked_inspection(inspected: Mapping[str, Any]) -> dict[str, Any]:
    """The engine's view of a container, as it may be shown; labels are left as they are."""
    config = dict(inspected.get("Config") or {})
    if config.get("Env"):
        shown = masked_variables(variables_of(inspected))
        config["Env"] = [f"{name}={value}" for name, value in shown.items()]
    return {**inspected, "Config": config}


class Mask:
    """Hides secret values in any text, as they are or as JSON writes them."""

    def __init__(self, secrets: Iterable[str]) -> None:
        # The longest first: a secret may be part of another one.
        forms = {form for value in secrets for form in (value, json.dumps(value)[1:-1])}
        ordered = sorted(forms, key=lambda value: (-len(value), value))
        pattern = "|".join(re.escape(value) for value in ordered)
        self._pattern = re.compile(pattern.encode()) if pattern else None

    def hide(self, data: bytes) -> bytes:
        """The data, with each secret in it replaced."""
        return data if self._pattern is None else self._pattern.sub(MASK.encode(), data)
