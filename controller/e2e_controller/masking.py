"""What is secret, and how it is hidden wherever something is shown. Pure.

Secret is what a manifest takes from elsewhere (`valueFrom`, `secretFiles`), the values of variables, build
arguments and a probe's headers whose names say so, passwords in URLs, and the credentials of a metrics page.
Wherever such a value stands elsewhere, in a log or a command line for one, `Mask` hides it too.
"""

import json
import re
from bisect import insort
from collections.abc import Container, Iterable, Mapping
from typing import Any

from e2e_api.manifests import Job, Manifest, ValueFrom, Workload, to_document
from e2e_api.secrets import MASK
from e2e_controller.secret_forms import SHORTEST, forms_of

_NAMES = re.compile(
    r"(?i)passw|passphrase|secret|token|credential|cookie|jwt|[a-z0-9]_?pwd|pwd_"
    r"|(api|private|access|signing|encryption|session|master|account)[_-]?key"
)
_MAY_BE = re.compile(r"(?i)(^|[^a-z])auth(orization)?([_-]?(key|code|string|header))?$")
"""Names of what may be a secret, or say in a word how somebody gets in."""
_PATHS = re.compile(r"(?i)[_-](file|path|dir)$")
"""Ends the names of variables that say where a secret is, if a path is all that they hold."""
_URL_PASSWORD = re.compile(r"(?<=://)([^\s/:@]*):([^\s/@]+)@")
_TEXTS = ("entrypoint", "command", "env", "readiness", "metrics", "profiles", "build")
"""Fields of a spec in which a secret may stand anywhere; in others are names, which are told in any case."""
_LONG_ENOUGH = 8
"""Characters of a value that is looked for elsewhere: a shorter one stands everywhere by chance, and between
the two are words of any text unless they have digits or signs in them."""
MOST_ENCODED = 500
"""Of so many secrets, more are only looked for as they are: each form costs time with each text."""
_SWITCHES = frozenset({"true", "false", "yes", "no", "on", "off", "none", "null", "enabled", "disabled"})
"""Values that tell nothing, whatever the variable's name."""
_COMMON = _SWITCHES | {
    *("default", "required", "optional", "public", "private", "anonymous", "basic", "bearer", "localhost"),
    *("changeme", "password", "passwd", "secret", "token"),
}
"""Words that stand in any text."""


def is_secret(name: str, value: str) -> bool:
    """Whether the variable's name says that its value must not be shown."""
    if not value or value.lower() in _SWITCHES or name in ("PWD", "OLDPWD"):
        return False
    if not _NAMES.search(name):
        return _MAY_BE.search(name) is not None and value.lower() not in _COMMON
    return not (_PATHS.search(name) and value.startswith(("/", "./")) and not re.search(r"\s", value))


def masked_value(name: str, value: Any) -> Any:
    """What may be shown of a variable; a mapping is one that says where the value comes from."""
    if isinstance(value, Mapping):
        return {**value, "valueFrom": _masked_source(value["valueFrom"])}
    return MASK if is_secret(name, value) else _URL_PASSWORD.sub(rf"\1:{MASK}@", value)


def masked_variables(variables: Mapping[str, Any]) -> dict[str, Any]:
    """The variables as they may be shown."""
    return {name: masked_value(name, value) for name, value in variables.items()}


def masked_manifest(document: Mapping[str, Any], known: "Mask | None" = None) -> dict[str, Any]:
    """A manifest's document as it may be shown; `known` hides what is secret elsewhere."""
    spec = dict(document.get("spec") or {})
    for field, masked in _MASKED_FIELDS.items():
        if spec.get(field):
            spec[field] = masked(spec[field])
    masks = Mask(secrets_in(document)), known or Mask()
    for field in filter(spec.get, _TEXTS):
        spec[field] = _hidden(spec[field], masks)
    if files := spec.get("files"):
        spec["files"] = [{**_hidden(file, masks), "path": file["path"]} for file in files]
    return {**document, "spec": spec} if spec else dict(document)


def _masked_source(secret: Mapping[str, Any]) -> dict[str, Any]:
    return {**secret, "value": MASK} if secret.get("value") is not None else dict(secret)


def _masked_readiness(readiness: Mapping[str, Any]) -> Mapping[str, Any]:
    headers = (readiness.get("http") or {}).get("headers")
    if not headers:
        return readiness
    return {**readiness, "http": {**readiness["http"], "headers": masked_variables(headers)}}


def _masked_metrics(metrics: Mapping[str, Any]) -> dict[str, Any]:
    shown = dict(metrics)
    if shown.get("bearerToken"):
        shown["bearerToken"] = MASK
    if (shown.get("basicAuth") or {}).get("password"):
        shown["basicAuth"] = {**shown["basicAuth"], "password": MASK}
    return shown


def _masked_build(build: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**build, "args": masked_variables(build["args"])} if build.get("args") else build


def _masked_secret_files(files: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{**file, "from": _masked_source(file["from"])} for file in files]


def _hidden(value: Any, masks: Iterable["Mask"]) -> Any:
    """The value, without what is secret in any text of it."""
    if isinstance(value, Mapping):
        return {name: _hidden(item, masks) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_hidden(item, masks) for item in value]
    for mask in masks if isinstance(value, str) else ():
        value = mask.hide_text(value)
    return value


_MASKED_FIELDS: Mapping[str, Any] = {
    "env": masked_variables,
    "readiness": _masked_readiness,
    "metrics": _masked_metrics,
    "build": _masked_build,
    "secretFiles": _masked_secret_files,
}


def secrets_in(document: Mapping[str, Any]) -> set[str]:
    """The secret values that a manifest's document holds, as far as they can be looked for elsewhere."""
    spec = document.get("spec") or {}
    variables = (
        {name: value for name, value in (spec.get("env") or {}).items() if isinstance(value, str)},
        ((spec.get("readiness") or {}).get("http") or {}).get("headers") or {},
        (spec.get("build") or {}).get("args") or {},
        _metrics_credentials(spec.get("metrics") or {}),
    )
    return set[str]().union(*map(secrets_of, variables), worth_hiding(_held(spec)))


def _metrics_credentials(metrics: Mapping[str, Any]) -> dict[str, str]:
    password = (metrics.get("basicAuth") or {}).get("password") or ""
    return {"password": password, "bearerToken": metrics.get("bearerToken") or ""}


def _held(spec: Mapping[str, Any]) -> Iterable[str]:
    """Secrets that stand in the manifest itself."""
    sources = [value["valueFrom"] for value in (spec.get("env") or {}).values() if isinstance(value, Mapping)]
    sources += [file["from"] for file in spec.get("secretFiles") or ()]
    return [secret["value"] for secret in sources if secret.get("value")]


def secrets_in_manifest(manifest: Manifest | None) -> set[str]:
    """As `secrets_in`, of a manifest."""
    return secrets_in(to_document(manifest)) if isinstance(manifest, Workload | Job) else set()


def secrets_of(variables: Mapping[str, str]) -> set[str]:
    """The secret values among the variables, without those that are too common to be looked for."""
    found = {value for name, value in variables.items() if is_secret(name, value)}
    for value in variables.values():
        found |= {password for _, password in _URL_PASSWORD.findall(value)}
    return worth_hiding(found)


def worth_hiding(values: Iterable[str]) -> set[str]:
    """Those that stand in no text by chance."""
    return {value for value in values if _is_telling(value)}


def _is_telling(value: str) -> bool:
    if len(value) < SHORTEST or value == MASK or value.lower() in _COMMON:
        return False
    return len(value) >= _LONG_ENOUGH or not (value.isalpha() or value.isdecimal())


def variables_of(inspected: Mapping[str, Any]) -> dict[str, str]:
    """The variables of a container as its engine shows it."""
    pairs = (entry.partition("=") for entry in (inspected.get("Config") or {}).get("Env") or ())
    return {name: value for name, _, value in pairs}


def secret_variables(manifest: Manifest | None) -> frozenset[str]:
    """Names of the variables whose values come from elsewhere."""
    env = manifest.spec.env if isinstance(manifest, Workload | Job) else {}
    return frozenset(name for name, value in env.items() if isinstance(value, ValueFrom))


def masked_inspection(
    inspected: Mapping[str, Any], secrets: Iterable[str] = (), names: Container[str] = ()
) -> dict[str, Any]:
    """The engine's view of a container, as it may be shown; labels are left as they are.

    What else is known to be secret, whatever it looks like: `secrets` themselves, and `names` of variables.
    """
    variables, config = variables_of(inspected), dict(inspected.get("Config") or {})
    mask = Mask({*secrets_of(variables), *secrets})
    if variables:
        shown_variables = masked_variables(variables) | {name: MASK for name in variables if name in names}
        config["Env"] = mask.hide_words(f"{name}={value}" for name, value in shown_variables.items())
    shown: dict[str, Any] = {**inspected, "Config": config}
    for holder, fields in ((config, ("Cmd", "Entrypoint", "Healthcheck")), (shown, ("Args", "State"))):
        for field in filter(holder.get, fields):
            holder[field] = _hidden(holder[field], [mask])
    return shown


class Mask:
    """Hides secret values in any text: as they are, and as JSON, HTML, URLs and base64 have them."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: set[str] = set()
        self._forms: list[str] = []
        """The longest first: a secret may be part of another one."""
        self._by_head: dict[str, list[str]] = {}
        """The same by their first characters, which finds them in a short text whatever their number."""
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """Hides these, too."""
        new = set(secrets) - self._secrets
        forms: set[str] = set()
        for secret in new:
            self._secrets.add(secret)
            few = len(self._secrets) <= MOST_ENCODED
            forms |= forms_of(secret) if few else {secret, json.dumps(secret)[1:-1]}
        for form in forms:
            alike = self._by_head.setdefault(form[:SHORTEST], [])
            if form not in alike:
                insort(alike, form, key=_longest_first)
                insort(self._forms, form, key=_longest_first)

    @property
    def hides_nothing(self) -> bool:
        """Whether no secret is known."""
        return not self._forms

    def hide(self, data: bytes) -> bytes:
        """The data, with each secret in it replaced."""
        for form in self._forms:  # faster than a pattern of them all
            data = data.replace(form.encode("utf-8", "surrogateescape"), MASK.encode())
        return data

    def hide_text(self, text: str) -> str:
        """The text, with each secret in it replaced."""
        forms = self._forms
        if len(forms) > len(text):
            heads = (text[start : start + SHORTEST] for start in range(len(text) - SHORTEST + 1))
            likely = {head for head in heads if head in self._by_head}
            forms = sorted((form for head in likely for form in self._by_head[head]), key=_longest_first)
        for form in forms:
            text = text.replace(form, MASK)
        return text

    def hide_words(self, words: Iterable[str]) -> list[str]:
        """A command line, with each secret in it replaced."""
        return [self.hide_text(word) for word in words]


def _longest_first(form: str) -> tuple[int, str]:
    return -len(form), form
