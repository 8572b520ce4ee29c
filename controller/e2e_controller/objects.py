"""What the store holds: objects and their status, as frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from e2e_api.conditions import Action, Condition, ConditionType, Reason, Status, find_condition, is_true
from e2e_api.manifests import Manifest, State, WorkloadSpec, dependency_names
from e2e_controller.drivers.base import Container, Key
from e2e_controller.secret_texts import SecretTexts

ENVIRONMENT = "Environment"
WORKLOAD = "Workload"
JOB = "Job"
FILE = "File"
CONTAINER_KINDS = (WORKLOAD, JOB)
"""The kinds that make a container; within an environment they share their names."""


def environment_key(environment: str) -> Key:
    """The key of the Environment object."""
    return Key(environment, ENVIRONMENT, environment)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a manifest stands."""

    path: str
    line: int = 0
    managed: bool = False
    """Whether it is below the state folder, where only Apply writes."""

    def __str__(self) -> str:
        return f"{self.path}:{self.line}" if self.line else self.path


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why the newest version of a manifest does not count."""

    reason: Reason
    message: str
    source: Source


@dataclass(frozen=True, slots=True)
class Phase:
    """A step of a start (`pull`, `create`, `start`, ...), or what was waited for (`queue`, `network`, ...).

    Duration in seconds.
    """

    name: str
    started_at: datetime
    duration: float

    @property
    def ends_at(self) -> datetime:
        """When it ended."""
        return self.started_at + timedelta(seconds=self.duration)


@dataclass(frozen=True, slots=True)
class Probe:
    """The last answer of a readiness probe."""

    success: bool
    request: str
    answer: str
    time: datetime | None
    attempts: int


@dataclass(frozen=True, slots=True)
class PastContainer:
    """The last that was seen of a container that is no more, or of its run before a restart."""

    container: Container
    restart_count: int
    log_lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ObjectStatus:
    """What is known of an object; computed as a whole by `reconcile.status`."""

    observed_generation: int = 0
    conditions: tuple[Condition, ...] = ()
    summary: str = "Pending"
    progress: str = ""
    container: Container | None = None
    restart_count: int = 0
    failed_attempts: int = 0
    """How often in a row it could not be made as its manifest asks."""
    failing_since: datetime | None = None
    """When the first of those attempts failed."""
    retry_at: datetime | None = None
    """Before that it is not tried again, whatever happens to its container."""
    end_seen_at: datetime | None = None
    """When it was first seen that the container has ended, by our own clock."""
    last_log_lines: tuple[str, ...] = ()
    past: PastContainer | None = None
    """The container before this one."""
    action: Action | None = None
    """What helps, where it has failed."""
    waiting_for: str = ""
    """The phase that it is in while something else has to come first: `network`, `dependencies`."""
    waiting_since: datetime | None = None
    endpoints: Mapping[str, str] = field(default_factory=dict)
    """External `host:port` by port name; empty while the workload does not run."""
    probe: Probe | None = None
    phases: tuple[Phase, ...] = ()
    directory: str = ""
    spec_hash: str = ""
    network_id: str = ""
    """Of an Environment: its network."""

    def condition(self, type_: ConditionType) -> Condition | None:
        """The condition of that type, or None."""
        return find_condition(self.conditions, type_)

    def is_true(self, type_: ConditionType) -> bool:
        """Whether the condition of that type is there and true."""
        return is_true(self.conditions, type_)


@dataclass(frozen=True, slots=True)
class Object:
    """A manifest together with its status."""

    key: Key
    manifest: Manifest | None = None
    """The last good version; None where there never was one, and for an implied Environment."""
    generation: int = 0
    """Counts the changes of the manifest."""
    version: int = 0
    source: Source | None = None
    rejection: Rejection | None = None
    status: ObjectStatus = ObjectStatus()
    deleting: bool = False
    build_context: str = ""
    """Digest of the folder that its image is built of; only known to the reconciler."""
    secrets: SecretTexts | None = None
    """What it needs of those, if it does; only known to the reconciler."""

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels of its manifest."""
        return self.manifest.metadata.labels if self.manifest else {}

    @property
    def depends_on(self) -> tuple[str, ...]:
        """Names of the objects that its container's creation waits for."""
        return dependency_names(self.manifest)

    @property
    def state(self) -> State:
        """The state that its manifest asks for."""
        spec = self.manifest.spec if self.manifest else None
        return spec.state if isinstance(spec, WorkloadSpec) else "Running"

    @property
    def facts(self) -> tuple[object, ...]:
        """What others may wait for: another value means that they should look again."""
        truths = {c.type: c.status for c in self.status.conditions if c.type != ConditionType.IMAGE_READY}
        container = self.status.container
        started = container is not None and container.started_at is not None
        wanted = self.manifest and (self.depends_on, self.state)
        return (self.deleting, self.settled, truths, started, wanted, self.rejection)

    @property
    def managed(self) -> bool:
        """Whether the API may change it."""
        return self.source is not None and self.source.managed

    @property
    def settled(self) -> bool:
        """Whether the status is about the newest manifest."""
        return self.status.observed_generation == self.generation


def acceptance(object_: Object, remark: str = "") -> Condition:
    """The `Accepted` condition; with a remark on what is accepted and yet unwise."""
    if object_.rejection is not None:
        return Condition(
            ConditionType.ACCEPTED, Status.FALSE, object_.rejection.reason, object_.rejection.message
        )
    return Condition(ConditionType.ACCEPTED, Status.TRUE, Reason.VALID, remark)


__all__ = [
    "CONTAINER_KINDS",
    "ENVIRONMENT",
    "FILE",
    "JOB",
    "WORKLOAD",
    "Container",
    "Key",
    "Object",
    "ObjectStatus",
    "PastContainer",
    "Phase",
    "Probe",
    "Rejection",
    "Source",
    "acceptance",
    "environment_key",
    "replace",
]
