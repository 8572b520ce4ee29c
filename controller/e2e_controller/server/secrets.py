"""What is secret, and how it is hidden wherever something is shown. Pure.

Secret are the values of variables and of a probe's headers whose names say so, passwords in URLs, and the
credentials of a metrics page.
Wherever such a value stands elsewhere, in a log or a command line for one, `Mask` hides it too. What else a
file or a command line holds is nobody's secret.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from e2e_api.secrets import MASK

_NAMES = re.compile(r"(?i)passw|secret|token|credential|api_?key|private_?key|access_?key|auth")
_URL_PASSWORD = re.compile(r"(?<=://)([^\s/:@]*):([^\s/@]+)@")
_COMMANDS = ("entrypoint", "command")
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
    secrets = secrets_in(document)
    spec = dict(document.get("spec") or {})
    if spec.get("env"):
        spec["env"] = masked_variables(spec["env"])
    if headers := _probe_headers(spec):
        http = {**spec["readiness"]["http"], "headers": masked_variables(headers)}
        spec["readiness"] = {**spec["readiness"], "http": http}
    if spec.get("metrics"):
        spec["metrics"] = _masked_metrics(spec["metrics"])
    mask = Mask(secrets)
    for field in _COMMANDS if secrets else ():
        if spec.get(field):
            spec[field] = mask.hide_words(spec[field])
    return {**document, "spec": spec} if spec else dict(document)


def secrets_in(document: Mapping[str, Any]) -> set[str]:
    """The secret values that a manifest's document names: of variables, a probe's headers, a metrics page."""
    spec = document.get("spec") or {}
    variables = (spec.get("env") or {}, _probe_headers(spec), _metrics_credentials(spec))
    return set[str]().union(*map(secrets_of, variables))


def _probe_headers(spec: Mapping[str, Any]) -> dict[str, str]:
    probe = (spec.get("readiness") or {}).get("http") or {}
    headers: dict[str, str] = probe.get("headers") or {}
    return headers


def _metrics_credentials(spec: Mapping[str, Any]) -> dict[str, str]:
    metrics = spec.get("metrics") or {}
    password = (metrics.get("basicAuth") or {}).get("password") or ""
    return {"password": password, "bearerToken": metrics.get("bearerToken") or ""}


def _masked_metrics(metrics: Mapping[str, Any]) -> dict[str, Any]:
    shown = dict(metrics)
    if shown.get("bearerToken"):
        shown["bearerToken"] = MASK
    if (shown.get("basicAuth") or {}).get("password"):
        shown["basicAuth"] = {**shown["basicAuth"], "password": MASK}
    return shown


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
    variables, config = variables_of(inspected), dict(inspected.get("Config") or {})
    mask = Mask(secrets_of(variables))
    if variables:
        config["Env"] = [f"{name}={value}" for name, value in masked_variables(variables).items()]
    shown: dict[str, Any] = {**inspected, "Config": config}
    for holder, field in ((config, "Cmd"), (config, "Entrypoint"), (shown, "Args")):
        if holder.get(field):
            holder[field] = mask.hide_words(holder[field])
    return shown


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

    def hide_words(self, words: Iterable[str]) -> list[str]:
        """A command line, with each secret in it replaced."""
        return [self.hide(word.encode()).decode() for word in words]
