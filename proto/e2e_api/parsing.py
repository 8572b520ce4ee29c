"""Turns a manifest file's bytes into objects, with file, line, column and a remedy in every error.

How YAML is read, and places in it are found, is in `yaml_nodes`.
"""

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from e2e_api.manifests import API_VERSION, DNS_LABEL, FIELD_ERROR, KINDS, Manifest
from e2e_api.problems import Problem
from e2e_api.quantities import FROM_MANIFEST
from e2e_api.yaml_nodes import construct, problem_at, read_nodes, text_at, yaml_problem

_KINDS = "{}, {} or {}".format(*KINDS)
_TYPES = {
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "tuple_type": "a list",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "invalid_key": "text as a key",
}
_LABEL = f"a lowercase DNS label: letters, digits and '-', at most 63 ({DNS_LABEL})"

_MAY_BE_SECRET = frozenset({"env", "args", "headers"})
"""Fields of whose values errors tell nothing: more people read errors than manifests."""


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file: its manifest, or what is wrong with it.

    `kind`, `name` and `environment` are there as far as they could be read, even from a rejected one.
    """

    line: int
    kind: str | None = None
    name: str | None = None
    environment: str | None = None
    manifest: Manifest | None = None
    problems: tuple[Problem, ...] = ()


def parse_documents(data: bytes) -> tuple[Document, ...]:
    """Reads all documents of a file. Raises `UnreadableError` when it is no YAML, or out of bounds."""
    return tuple(_document(node) for node in read_nodes(data))


def _document(node: yaml.Node) -> Document:
    line = node.start_mark.line + 1
    no_mapping = problem_at(node, (), "expected a mapping with apiVersion, kind, ...")
    if not isinstance(node, yaml.MappingNode):
        return Document(line, problems=(no_mapping,))
    known: dict[str, Any] = {
        "kind": kind if (kind := text_at(node, "kind")) in KINDS else None,
        "name": _label(text_at(node, "metadata", "name")),
        "environment": _label(text_at(node, "metadata", "environment")),
    }
    try:
        value = construct(node)
    except yaml.MarkedYAMLError as error:
        return Document(line, **known, problems=(yaml_problem(error),))
    if not isinstance(value, dict):  # its tag makes another thing of it, as `!!set` does
        return Document(line, **known, problems=(no_mapping,))
    problems = _envelope_problems(node, value)
    if problems:
        return Document(line, **known, problems=problems)
    model = KINDS[value["kind"]]
    try:
        manifest = model.model_validate(value, context={FROM_MANIFEST: True}, by_alias=True, by_name=False)
    except ValidationError as error:
        return Document(line, **known, problems=tuple(field_problems(node, model, error)))
    return Document(line, **known, manifest=manifest)


def _label(value: str | None) -> str | None:
    return value if value is not None and re.fullmatch(DNS_LABEL, value) else None


def _envelope_problems(node: yaml.Node, value: dict[str, Any]) -> tuple[Problem, ...]:
    kind, version = value.get("kind"), value.get("apiVersion")
    if version != API_VERSION:
        given = f", not {version!r}" if version is not None else ""
        return (problem_at(node, ("apiVersion",), f"expected {API_VERSION}{given}"),)
    if isinstance(kind, str) and kind in KINDS:
        return ()
    message = f"expected {_KINDS}" + (f", not {kind!r}" if kind else "")
    return (problem_at(node, ("kind",), message + _suggestion(str(kind), list(KINDS))),)


def field_problems(node: yaml.Node, model: type[BaseModel], error: ValidationError) -> Iterator[Problem]:
    """What is wrong with a document, in our words, each with its place."""
    for item in error.errors(include_url=False, include_context=True):
        location = tuple(part for part in item["loc"] if part != "[key]")
        if item["type"] == FIELD_ERROR:
            location += tuple(item["ctx"]["field"].split("."))
        at_key = item["type"] == "extra_forbidden" or item["loc"][-1:] == ("[key]",)
        yield problem_at(node, location, _explain(model, location, item), at_key=at_key)


def _explain(model: type[BaseModel], location: tuple[str | int, ...], item: Any) -> str:
    """What was expected, in our words; pydantic's name the Python type."""
    given = _as_written(item["input"])[:80]
    plain, quoted = ("", "") if _MAY_BE_SECRET & {*location} else (f", not {given}", f", not {given!r}")
    match item["type"]:
        case "extra_forbidden":
            fields = _field_names(model, location[:-1])
            return f"unknown field{_hint(location, fields)}; known are {', '.join(fields)}"
        case "missing":
            return "missing; it is required"
        case "string_pattern_mismatch":
            pattern = item["ctx"]["pattern"]
            wanted = _LABEL if pattern == DNS_LABEL else f"text that matches {pattern}"
            return f"expected {wanted}{quoted}"
        case "string_type":
            return f"expected text{plain}; if it is meant as text, put quotes around it"
        case "string_too_short":
            return "expected text, not an empty one"
        case "string_too_long":
            return f"expected at most {item['ctx']['max_length']} characters, not {len(item['input'])}"
        case "too_short":
            return "expected at least one item, not an empty list"
        case "value_error":
            return str(item["msg"]).removeprefix("Value error, ")
        case error if error == FIELD_ERROR:
            return str(item["ctx"]["message"])
        case error if error in _TYPES:
            return f"expected {_TYPES[error]}{quoted}"
        case _:
            wanted = str(item["msg"]).removeprefix("Input should be ")
            return f"expected {wanted}{quoted}"


def _as_written(value: Any) -> str:
    """A value as YAML has it, where Python writes it in another way."""
    return {"True": "true", "False": "false", "None": "null"}.get(str(value), str(value))


def _hint(location: tuple[str | int, ...], fields: Sequence[str]) -> str:
    """What may have been meant by an unknown field."""
    name = str(location[-1])
    others = [kind for kind, other in KINDS.items() if name in _field_names(other, location[:-1])]
    if location[0] == "spec" and others:
        return f" of this kind; known to {' and '.join(others)}"
    return _suggestion(name, fields)


def _field_names(model: type[BaseModel], location: Sequence[str | int]) -> list[str]:
    """The fields that are known where an unknown one was found."""
    current: type[BaseModel] | None = model
    for part in location:
        fields = current.model_fields if current else {}
        named = next((field for name, field in fields.items() if part in (name, field.alias)), None)
        current = _model_in(named.annotation) if named else current
    return [field.alias or name for name, field in (current.model_fields if current else {}).items()]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)


def _suggestion(word: str, known: Sequence[str]) -> str:
    lowered = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), list(lowered), n=1, cutoff=0.6)
    return f"; did you mean {lowered[close[0]]}?" if close else ""
