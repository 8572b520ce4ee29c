"""Configurations of Prometheus that manifests carry: as much of them as the controller has to know. Pure."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import yaml

from e2e_api.problems import UnreadableError
from e2e_api.yaml_nodes import construct, read_nodes, yaml_problem

JOBS = "scrape_configs"


def with_jobs(content: str, jobs: Sequence[Mapping[str, Any]]) -> str:
    """The configuration with more scrape jobs; the text stays as it is where there are none to add."""
    if not jobs:
        return content
    own = scrape_jobs(content)
    return yaml.safe_dump({**_mapping(content), JOBS: [*own, *jobs]}, sort_keys=False)


def scrape_jobs(content: str) -> Sequence[Any]:
    """Its scrape jobs. Raises ValueError where it is none: with position, as the text has it."""
    jobs = _mapping(content).get(JOBS)
    if jobs is None:
        return ()
    if not isinstance(jobs, list):
        raise ValueError(f"expected a list of {JOBS}")
    return jobs


@lru_cache(maxsize=32)
def _mapping(content: str) -> Mapping[str, Any]:
    """Not to be changed by whoever gets it."""
    try:
        nodes = read_nodes(content.encode())
        if len(nodes) != 1 or not isinstance(nodes[0], yaml.MappingNode):
            raise ValueError("expected one YAML document, a mapping")
        return construct(nodes[0])
    except yaml.MarkedYAMLError as error:
        raise ValueError(str(yaml_problem(error, content))) from None
    except UnreadableError as error:
        raise ValueError(str(error)) from None
