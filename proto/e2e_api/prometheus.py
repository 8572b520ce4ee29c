"""Configurations of Prometheus that manifests carry: as much of them as the controller has to know. Pure."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import yaml

from e2e_api.problems import UnreadableError
from e2e_api.yaml_nodes import read_nodes, yaml_problem

JOBS = "scrape_configs"
_TEXT, _NULL, _LIST = ("tag:yaml.org,2002:str", "tag:yaml.org,2002:null", "tag:yaml.org,2002:seq")


def with_jobs(content: str, jobs: Sequence[Mapping[str, Any]]) -> str:
    """The configuration with more scrape jobs; the text stays as it is where there are none to add.

    Else its comments go, and all values are written as they were: what is a number is for Prometheus to say.
    """
    if not jobs:
        return content
    root = _root(content)
    (added,) = read_nodes(yaml.safe_dump(list(jobs), sort_keys=False).encode())
    others = [(key, value) for key, value in root.value if key.value != JOBS]
    all_jobs = yaml.SequenceNode(_LIST, [*_jobs(root), *added.value])
    whole = yaml.MappingNode(root.tag, [*others, (yaml.ScalarNode(_TEXT, JOBS), all_jobs)])
    return str(yaml.serialize(whole, Dumper=yaml.SafeDumper))


def check_configuration(content: str) -> None:
    """Raises ValueError for what jobs cannot be added to; with position, where the text has one."""
    _jobs(_root(content))


def _jobs(root: yaml.MappingNode) -> Sequence[yaml.Node]:
    found = next((value for key, value in root.value if key.value == JOBS), None)
    if found is None or found.tag == _NULL:
        return ()
    if not isinstance(found, yaml.SequenceNode):
        raise ValueError(f"expected a list of {JOBS}")
    return list(found.value)


@lru_cache(maxsize=32)
def _root(content: str) -> yaml.MappingNode:
    """Not to be changed by whoever gets it."""
    try:
        nodes = read_nodes(content.encode())
    except UnreadableError as error:
        raise ValueError(str(error)) from None
    except yaml.MarkedYAMLError as error:
        raise ValueError(str(yaml_problem(error, content))) from None
    if len(nodes) != 1 or not isinstance(nodes[0], yaml.MappingNode):
        raise ValueError("expected one YAML document, a mapping")
    _write_in_blocks(nodes[0], set())
    return nodes[0]


def _write_in_blocks(node: yaml.Node, seen: set[int]) -> None:
    """Without brackets, in which not all that needs no quotes can be written without."""
    if not isinstance(node, yaml.CollectionNode) or id(node) in seen:
        return
    seen.add(id(node))
    node.flow_style = False
    for child in node.value:
        for part in child if isinstance(child, tuple) else (child,):
            _write_in_blocks(part, seen)
