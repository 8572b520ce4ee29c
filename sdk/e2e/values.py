"""The frozen values that the SDK's verbs take and give."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from e2e.matchers import LabelMatcher, format_number
from e2e_api.conditions import Action, Condition, ConditionType, is_true
from e2e_api.errors import E2EError


class Absent(StrEnum):
    """What a metric that is not on the page means; it is never 0."""

    WAIT = "wait"
    """Go on until it appears."""
    FAIL = "fail"
    """Raise NotFound at once."""
    SKIP = "skip"
    """Judge the other names alone; where that leaves nothing to judge, go on."""


class Goal(StrEnum):
    """What a wait waits for, in the words that its error says."""

    READY = "ready"
    RUNNING = "running"
    STOPPED = "stopped"
    DELETED = "deleted"
    RECONCILED = "as its manifest asks"
    EXITED = "exited"
    NOT_READY = "not ready"
    PAUSED = "paused"
    COMPLETED = "completed"


@dataclass(frozen=True, slots=True)
class ExecResult:
    """How a command in a container ended."""

    command: tuple[str, ...]
    exit_code: int
    stdout: bytes
    stderr: bytes

    @property
    def stdout_text(self) -> str:
        """Standard output as text; what is no UTF-8 is replaced."""
        return self.stdout.decode("utf-8", "replace")

    @property
    def stderr_text(self) -> str:
        """Standard error as text; what is no UTF-8 is replaced."""
        return self.stderr.decode("utf-8", "replace")


class ExecFailed(E2EError):  # noqa: N818 - named like the errors beside it
    """A command in a container ended with another exit code than 0; `result` has its output."""

    def __init__(self, workload: str, result: ExecResult) -> None:
        output = (result.stderr_text or result.stdout_text).strip().splitlines()[-20:]
        lines = [f"{' '.join(result.command)!r} in {workload} exited with {result.exit_code}", *output]
        super().__init__("\n  ".join(lines))
        self.result = result


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a metrics page."""

    family: str
    """The metric family's name."""
    name: str
    """The sample's name, such as `..._bucket`."""
    labels: Mapping[str, str]
    value: float

    def __str__(self) -> str:
        labels = ",".join(str(LabelMatcher.equal(*label)) for label in self.labels.items())
        return f"{self.name}{f'{{{labels}}}' if labels else ''} {format_number(self.value)}"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where one named port is reached."""

    internal: str
    """`workload:port`, for other workloads of the environment."""
    external: str
    """`host:port` for the caller; empty while the workload does not run."""
    protocol: str
    """`tcp` or `udp`."""
    problem: str = ""
    """Why the caller cannot reach it while the workload runs, and what helps."""


@dataclass(frozen=True, slots=True)
class ContainerStatus:
    """What the engine said of the container at the last look."""

    id: str
    image: str
    state: str
    """`created`, `running`, `paused`, `exited` or `dead`."""
    exit_code: int | None
    oom_killed: bool
    started_at: datetime | None
    finished_at: datetime | None
    restart_count: int
    last_log_lines: tuple[str, ...]
    """Kept when the container exited."""
    signal: str = ""
    """That ended it, such as `SIGKILL`; empty where it ended by itself."""
    error: str = ""
    """Why the engine could not start it."""


@dataclass(frozen=True, slots=True)
class ProbeStatus:
    """The last answer of the readiness probe."""

    success: bool
    request: str
    answer: str
    attempts: int
    time: datetime | None = None
    """When the answer came."""


@dataclass(frozen=True, slots=True)
class Phase:
    """A step of a start, such as `pull` or `probe`, or what was waited for, such as `network`."""

    name: str
    started_at: datetime
    seconds: float


@dataclass(frozen=True, slots=True)
class WorkloadStatus:
    """What the controller knows of a workload or job."""

    summary: str
    """One word: `Pending`, `Pulling`, `Starting`, `Running`, `Ready`, ..."""
    progress: str
    """One line on what goes on now, such as `pulling 42%`."""
    source: str
    """The file and line that define it."""
    conditions: tuple[Condition, ...]
    endpoints: Mapping[str, Endpoint]
    """By the port's name."""
    container: ContainerStatus | None
    last_probe: ProbeStatus | None
    directory: str
    previous_container: ContainerStatus | None = None
    """The container before this one, or the same one before its restart."""
    phases: tuple[Phase, ...] = ()
    """Where the time of its start went."""
    action: Action | None = None
    """What helps, where it has failed."""

    @property
    def is_ready(self) -> bool:
        """Whether it can be used."""
        return is_true(self.conditions, ConditionType.READY)

    @property
    def is_completed(self) -> bool:
        """Whether it is a job that has run to its end."""
        return is_true(self.conditions, ConditionType.COMPLETED)

    @property
    def is_running(self) -> bool:
        """Whether its container runs."""
        return self.container is not None and self.container.state == "running"


@dataclass(frozen=True, slots=True)
class EnvironmentSummary:
    """One line of the list of environments."""

    name: str
    objects: int
    ready: int
    leases: int
    network: str
    shared_directory: str
    ends: datetime | None = None
    """When it is deleted unless somebody holds it again; None where nothing ends it."""
    end_cause: str = ""
    subnet: str = ""
    """The network's address range, such as `10.201.0.0/24`; empty where it is not known."""
