"""The workload of a Prometheus that watches an environment. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from e2e.options import WorkloadOptions
from e2e.prometheus import program
from e2e.prometheus.configuration import PROCESS_FILE, WORKLOADS_FILE, configuration
from e2e_api.errors import InvalidArgument
from e2e_api.manifests import File, HttpProbe

_LEAST_INTERVAL, _LONGEST_INTERVAL = 0.05, 86_400


@dataclass(frozen=True, slots=True)
class Setup:
    """What can be chosen about it."""

    scrape_interval: float = 1.0
    """Seconds."""
    image: str = program.IMAGE
    rules: str | Mapping[str, Any] | None = None
    """Alerting and recording rules, as a rule file has them: text, or a mapping with `groups`."""
    process: bool = False
    """Whether a process outside is scraped, too."""
    cadvisor: str = ""
    """The name of the cAdvisor beside it; empty where there is none."""
    environment: str = ""
    """Whose containers that shows; empty for those of all environments of the machine."""

    def __post_init__(self) -> None:
        given = self.scrape_interval
        is_number = isinstance(given, int | float) and not isinstance(given, bool)
        if not is_number or not _LEAST_INTERVAL <= given <= _LONGEST_INTERVAL:
            expected = f"{_LEAST_INTERVAL:g} to {_LONGEST_INTERVAL}"
            raise InvalidArgument(f"scrape_interval: expected seconds, {expected}, not {given!r}")

    def options(self, targets: str = "[]") -> WorkloadOptions:
        """The options of the workload; `targets` has those of the process, as `file_sd` takes them."""
        return {
            "image": self.image,
            "command": program.words(program.FLAGS),
            "ports": {"http": program.PORT},
            "readiness": HttpProbe(port="http", path=program.READY),
            "metrics": "http",
            "profiles": "http",
            "files": self.files(targets),
        }

    def files(self, targets: str = "[]") -> Sequence[File]:
        """The files of the workload."""
        config = configuration(
            self.scrape_interval,
            process=self.process,
            rules=self.rules is not None,
            cadvisor=self.cadvisor,
            environment=self.environment,
        )
        return [
            File(path=program.CONFIG, content=as_yaml(config), from_="MetricJobs"),
            File(path=WORKLOADS_FILE, from_="MetricTargets"),
            *([File(path=PROCESS_FILE, content=targets, on_change="None")] if self.process else []),
            *([File(path=program.RULES, content=as_yaml(self.rules))] if self.rules is not None else []),
        ]


def as_yaml(document: str | Mapping[str, Any]) -> str:
    """The document as text; text stays as it is."""
    import yaml

    return document if isinstance(document, str) else yaml.safe_dump(dict(document), sort_keys=False)
