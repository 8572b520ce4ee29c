"""Policy files: read with the care that manifests are read with; errors have file, line and column."""

from pathlib import Path
from typing import get_args

import yaml
from pydantic import ValidationError

from e2e_api.parsing import field_problems
from e2e_api.problems import Problem, UnreadableError
from e2e_api.quantities import FROM_MANIFEST
from e2e_api.yaml_nodes import MAX_BYTES, construct, problem_at, read_nodes, yaml_problem
from e2e_controller.policy.model import Policy, Preset
from e2e_controller.policy.presets import PRESETS, complete


def load_policy(given: str) -> Policy:
    """The policy of that name, or in that file. Raises ValueError that lists all that is wrong."""
    for name, preset in PRESETS.items():
        if given == name:
            return preset
    path = Path(given)
    if path.is_fifo():
        raise ValueError(f"{path} is a pipe, which can be read once; a policy is read again: give a file")
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        names = " and ".join(get_args(Preset))
        message = f"cannot read {path}: {error.strerror}; there are the policies {names}, and files"
        raise ValueError(message) from error
    policy, problems = parse_policy(data)
    if problems:
        raise ValueError("\n".join(problem.in_file(given) for problem in problems))
    return policy


def parse_policy(data: bytes) -> tuple[Policy, tuple[Problem, ...]]:
    """The policy of a file, complete; or what is wrong with it."""
    try:
        nodes = read_nodes(data)
    except UnreadableError as error:
        return PRESETS["restricted"], (error.problem,)
    if len(nodes) != 1 or not isinstance(nodes[0], yaml.MappingNode):
        message = "expected one mapping with rules, such as `extends: restricted`"
        return PRESETS["restricted"], (problem_at(nodes[-1], (), message) if nodes else Problem(message),)
    try:
        value = construct(nodes[0])
        given = Policy.model_validate(value, context={FROM_MANIFEST: True}, by_alias=True, by_name=False)
    except yaml.MarkedYAMLError as error:
        return PRESETS["restricted"], (yaml_problem(error),)
    except ValidationError as error:
        return PRESETS["restricted"], tuple(field_problems(nodes[0], Policy, error))
    return complete(given), ()
