"""Reads YAML into nodes, which know their positions; and finds places in them.

Sizes, depth and aliases are bounded before anything is built from them.
"""

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import yaml

from e2e_api.problems import Problem, UnreadableError

MAX_BYTES = 4 * 2**20
MAX_NODES = 200_000
MAX_DEPTH = 50
MAX_DOCUMENTS = 5_000
MAX_DIGITS = 100
"""Characters of a number: the time to read `1:1:1` grows with the square of its length."""

_TWO_ESCAPES = re.compile(r"((?<!\\)(?:\\\\)*)(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})")
_QUOTES = "; if it is meant as text, put quotes around it"
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):  # type: ignore[misc]
    """Raises YAML's own error, with the position, where PyYAML lets Python's through: `2024-13-45`."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        if node.tag in _NUMBERS and len(node.value) > MAX_DIGITS:
            raise yaml.MarkedYAMLError(
                problem=f"too long for a number{_QUOTES}", problem_mark=node.start_mark
            )
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError, OverflowError, TypeError) as error:
            kind = node.tag.rpartition(":")[2]
            message = f"no valid {kind}{_QUOTES}"
            raise yaml.MarkedYAMLError(problem=message, problem_mark=node.start_mark) from error


def read_nodes(data: bytes) -> list[yaml.Node]:
    """The documents of a file that are not empty. Raises `UnreadableError`: no YAML, or out of bounds."""
    text = _with_whole_characters(_decode(data))
    try:
        nodes = _bounded_nodes(text)
    except yaml.MarkedYAMLError as error:
        raise UnreadableError(yaml_problem(error, text)) from error
    except yaml.reader.ReaderError as error:
        raise UnreadableError(_character_problem(error, text)) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise UnreadableError(Problem(f"not YAML: {error}")) from error
    return [node for node in nodes if not _is_null(node)]


def construct(node: yaml.MappingNode) -> Any:
    """The value of a document: a mapping, if no tag says otherwise. Raises `yaml.MarkedYAMLError`."""
    _refuse_what_is_unclear(node)
    loader = _Loader("")
    try:
        return loader.construct_document(node)
    finally:
        loader.dispose()


def text_at(node: yaml.Node, *location: str) -> str | None:
    """The text at that place, as far as it can be read from a document that may be wrong elsewhere."""
    found: yaml.Node | None = node
    for part in location:
        found = _child(found, part) if found is not None else None
    is_text = isinstance(found, yaml.ScalarNode) and found.tag == "tag:yaml.org,2002:str"
    return str(found.value) if found is not None and is_text else None


def problem_at(
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
    mark, field = found.start_mark, ".".join(str(part) for part in location)
    field = "".join(letter if letter.isprintable() else "?" for letter in field)
    return Problem(message, field, mark.line + 1, mark.column + 1)


def yaml_problem(error: yaml.MarkedYAMLError, text: str = "") -> Problem:
    """What YAML's own error says, in our form; the file's text shows whether a tab is at fault."""
    mark = error.problem_mark or error.context_mark
    message = "not YAML: " + ", ".join(part for part in (error.context, error.problem) if part)
    if mark is None:
        return Problem(message)
    if text[mark.index : mark.index + 1] == "\t":
        message += "; indent with spaces, not tabs"
    return Problem(message, "", mark.line + 1, mark.column + 1)


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


def _with_whole_characters(text: str) -> str:
    """The text with those characters that JSON writes as two escapes, which YAML does not know."""
    if not _TWO_ESCAPES.search(text):
        return text
    with suppress(ValueError, RecursionError):
        json.loads(text)  # in other YAML, such text may stand for itself
        return _TWO_ESCAPES.sub(lambda found: found[1] + json.loads(f'"{found[2]}"'), text)
    return text


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
