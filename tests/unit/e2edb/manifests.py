"""What the manifest of a system says."""

from typing import Any

import yaml

import e2e


def flags_of(workload: e2e.Workload) -> dict[str, list[str]]:
    """The values of each flag of its command line."""
    found: dict[str, list[str]] = {}
    for word in workload.manifest.spec.command or ():
        if word.startswith("--"):
            name, _, value = word.partition("=")
            found.setdefault(name, []).append(value)
    return found


def yaml_of(text: str) -> Any:
    """The data that the text stands for."""
    return yaml.safe_load(text)


def file_of(workload: e2e.Workload, path: str) -> e2e.File:
    """The file at that path."""
    (file,) = [file for file in workload.manifest.spec.files if file.path == path]
    return file


def config_of(workload: e2e.Workload, path: str = "/etc/prometheus/prometheus.yml") -> Any:
    """The data of a file in YAML."""
    return yaml_of(file_of(workload, path).content or "")
