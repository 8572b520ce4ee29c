"""Turns a manifest file's bytes into objects, with file, line, column and a remedy in every error.

YAML is composed to nodes first, because nodes know their positions; sizes, depth and aliases are
bounded before anything is built from them.
"""

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from e2e_api.manifests import API_VERSION, DNS_LABEL, FIELD_ERROR, KINDS, Manifest
from e2e_api.quantities import FROM_MANIFEST

MAX_BYTES = 4 * 2**20
MAX_NODES = 200_000
MAX_DEPTH = 50
MAX_DOCUMENTS = 5_000

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
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


class _Loader(_Base):  # type: ignore[misc]
    """Raises YAML's own error, with the position, where PyYAML lets Python's through: `2024-13-45`."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError, OverflowError, TypeError) as error:
            kind = node.tag.rpartition(":")[2]
            message = f"no valid {kind}; if it is meant as text, put quotes around it"
            raise yaml.MarkedYAMLError(problem=message, problem_mark=node.start_mark) from error


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. `line` and `column` count from 1; 0 means the file as a whole."""

    message: str
    field: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        place = f"{self.line}:{self.column}: " if self.line else ""
        return f"{place}{self.field}: {self.message}" if self.field else f"{place}{self.message}"


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


class UnreadableError(Exception):
    """The file as a whole cannot be read, so nothing in it counts."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def parse_documents(data: bytes) -> tuple[Document, ...]:
    """Reads all documents of a file. Raises `UnreadableError` when it is no YAML, or out of bounds."""
    text = _decode(data)
    try:
        nodes = _bounded_nodes(text)
    except yaml.MarkedYAMLError as error:
        raise UnreadableError(_yaml_problem(error, text)) from error
    except yaml.reader.ReaderError as error:
        raise UnreadableError(_character_problem(error, text)) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise UnreadableError(Problem(f"not YAML: {error}")) from error
    return tuple(_document(node) for node in nodes if not _is_null(node))


def _decode(data: bytes) -> str:
    if len(data) > MAX_BYTES:
        raise UnreadableError(Problem(f"the file has {len(data)} bytes; at most {MAX_BYTES} are read"))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        raise UnreadableError(Problem("not UTF-8 text; save the file as UTF-8", "", line, column)) from error
    if "\0" in text:
        raise UnreadableError(Problem("not a text file: it has a NUL byte"))
    return text


def _yaml_problem(error: yaml.MarkedYAMLError, text: str = "") -> Problem:
    mark = error.problem_mark or error.context_mark
    message = "not YAML: " + ", ".join(part for part in (error.context, error.problem) if part)
    if mark is None:
        return Problem(message)
    if text[mark.index : mark.index + 1] == "\t":
        message += "; indent with spaces, not tabs"
    return Problem(message, "", mark.line + 1, mark.column + 1)


def _character_problem(error: yaml.reader.ReaderError, text: str) -> Problem:
    before = text.encode()[: error.position].decode(errors="ignore")
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    return Problem(f"not YAML: {error.reason} (character {error.character:#x})", "", line, column)


def _bounded_nodes(text: str) -> list[yaml.Node]:
    """Composes the documents, after a pass over the events that bounds what composing can cost."""
    nodes = depth = documents = 0
    for event in yaml.parse(text, Loader=_Loader):
        nodes += int(isinstance(event, yaml.NodeEvent))
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        documents += isinstance(event, yaml.DocumentStartEvent)
        for count, most, what in (
            (nodes, MAX_NODES, "values"),
            (depth, MAX_DEPTH, "levels"),
            (documents, MAX_DOCUMENTS, "documents"),
        ):
            if count > most:
                mark: Any = event.start_mark
                raise UnreadableError(Problem(f"more than {most} {what}", "", mark.line + 1, mark.column + 1))
    composed = list(yaml.compose_all(text, Loader=_Loader))
    if sum(_expanded_size(node, {}) for node in composed if node is not None) > MAX_NODES:
        raise UnreadableError(Problem(f"more than {MAX_NODES} values once the aliases are expanded"))
    return composed


def _expanded_size(node: yaml.Node, sizes: dict[int, int]) -> int:
    """How many nodes there are when each alias is replaced by what it stands for."""
    if id(node) in sizes:
        return sizes[id(node)]
    sizes[id(node)] = MAX_NODES  # an alias to a node that holds it would never end
    children: list[yaml.Node] = []
    if isinstance(node, yaml.SequenceNode):
        children = node.value
    elif isinstance(node, yaml.MappingNode):
        children = [child for pair in node.value for child in pair]
    sizes[id(node)] = 1 + sum(_expanded_size(child, sizes) for child in children)
    return sizes[id(node)]


def _is_null(node: yaml.Node | None) -> bool:
    return node is None or (isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null")


def _document(node: yaml.Node) -> Document:
    line = node.start_mark.line + 1
    if not isinstance(node, yaml.MappingNode):
        return Document(
            line, problems=(_problem_at(node, (), "expected a mapping with apiVersion, kind, ..."),)
        )
    known: dict[str, Any] = {
        "kind": kind if (kind := _text(node, "kind")) in KINDS else None,
        "name": _label(_text(node, "metadata", "name")),
        "environment": _label(_text(node, "metadata", "environment")),
    }
    try:
        value = _construct(node)
    except yaml.MarkedYAMLError as error:
        return Document(line, **known, problems=(_yaml_problem(error),))
    problems = _envelope_problems(node, value)
    if problems:
        return Document(line, **known, problems=problems)
    model = KINDS[value["kind"]]
    try:
        manifest = model.model_validate(value, context={FROM_MANIFEST: True}, by_alias=True, by_name=False)
    except ValidationError as error:
        return Document(line, **known, problems=tuple(_field_problems(node, model, error)))
    return Document(line, **known, manifest=manifest)


def _construct(node: yaml.MappingNode) -> dict[str, Any]:
    _refuse_what_is_unclear(node)
    loader = _Loader("")
    try:
        value: dict[str, Any] = loader.construct_document(node)
    finally:
        loader.dispose()
    return value


def _refuse_what_is_unclear(node: yaml.Node) -> None:
    """YAML would keep the last of two equal keys without a word; a NUL ends a path, unseen."""
    if isinstance(node, yaml.SequenceNode):
        for child in node.value:
            _refuse_what_is_unclear(child)
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, child in node.value:
            if isinstance(child, yaml.ScalarNode) and "\0" in child.value and key.value != "content":
                raise yaml.MarkedYAMLError(problem="a NUL character", problem_mark=child.start_mark)
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem="a key must be plain text", problem_mark=key.start_mark)
            if key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"{key.value!r} stands there twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
            _refuse_what_is_unclear(child)


def _text(node: yaml.Node, *location: str) -> str | None:
    """The text at that place, as far as it can be read from a document that may be wrong elsewhere."""
    found: yaml.Node | None = node
    for part in location:
        found = _child(found, part) if found is not None else None
    is_text = isinstance(found, yaml.ScalarNode) and found.tag == "tag:yaml.org,2002:str"
    return str(found.value) if found is not None and is_text else None


def _label(value: str | None) -> str | None:
    return value if value is not None and re.fullmatch(DNS_LABEL, value) else None


def _envelope_problems(node: yaml.Node, value: dict[str, Any]) -> tuple[Problem, ...]:
    kind, version = value.get("kind"), value.get("apiVersion")
    if version != API_VERSION:
        given = f", not {version!r}" if version is not None else ""
        return (_problem_at(node, ("apiVersion",), f"expected {API_VERSION}{given}"),)
    if isinstance(kind, str) and kind in KINDS:
        return ()
    message = f"expected {_KINDS}" + (f", not {kind!r}" if kind else "")
    return (_problem_at(node, ("kind",), message + _suggestion(str(kind), list(KINDS))),)


def _field_problems(node: yaml.Node, model: type[BaseModel], error: ValidationError) -> Iterator[Problem]:
    for item in error.errors(include_url=False, include_context=True):
        location = tuple(part for part in item["loc"] if part != "[key]")
        if item["type"] == FIELD_ERROR:
            location += tuple(item["ctx"]["field"].split("."))
        at_key = item["type"] == "extra_forbidden" or item["loc"][-1:] == ("[key]",)
        yield _problem_at(node, location, _explain(model, location, item), at_key=at_key)


def _explain(model: type[BaseModel], location: tuple[str | int, ...], item: Any) -> str:
    """What was expected, in our words; pydantic's name the Python type."""
    given = str(item["input"])[:80]
    match item["type"]:
        case "extra_forbidden":
            fields = _field_names(model, location[:-1])
            return f"unknown field{_suggestion(str(location[-1]), fields)}; known are {', '.join(fields)}"
        case "missing":
            return "missing; it is required"
        case "string_pattern_mismatch":
            pattern = item["ctx"]["pattern"]
            wanted = _LABEL if pattern == DNS_LABEL else f"text that matches {pattern}"
            return f"expected {wanted}, not {given!r}"
        case "string_type":
            return f"expected text, not {given}; if it is meant as text, put quotes around it"
        case "value_error":
            return str(item["msg"]).removeprefix("Value error, ")
        case error if error == FIELD_ERROR:
            return str(item["ctx"]["message"])
        case error if error in _TYPES:
            return f"expected {_TYPES[error]}, not {given!r}"
        case _:
            wanted = str(item["msg"]).removeprefix("Input should be ")
            return f"expected {wanted}, not {given!r}"


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


def _problem_at(
    node: yaml.Node, location: Sequence[str | int], message: str, *, at_key: bool = False
) -> Problem:
    """Places a problem at the deepest part of `location` that is there; or at that part's key."""
    found = node
    for depth, part in enumerate(location, start=1):
        is_key = at_key and depth == len(location)
        child = _child(found, str(part), key=is_key)
        if child is None:
            break
        found = child
    mark = found.start_mark
    return Problem(message, ".".join(str(part) for part in location), mark.line + 1, mark.column + 1)


def _child(node: yaml.Node, part: str, *, key: bool = False) -> yaml.Node | None:
    if isinstance(node, yaml.SequenceNode) and part.isdecimal() and int(part) < len(node.value):
        child: yaml.Node = node.value[int(part)]
        return child
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if name.value == part:
                is_empty = isinstance(value, yaml.ScalarNode) and value.value == ""
                found: yaml.Node = name if key or is_empty else value
                return found
    return None
