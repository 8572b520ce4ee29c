"""Where things are below the state folder."""

import uuid
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Directories:
    """The layout of one controller's state folder."""

    state: Path

    @property
    def manifests(self) -> Path:
        """What Apply wrote: a folder an environment, a file an object."""
        return self.state / "manifests"

    @property
    def environments(self) -> Path:
        """Shared directories, one an environment."""
        return self.state / "environments"

    @property
    def leases(self) -> Path:
        """A file for each held environment, to know after a crash what somebody held."""
        return self.state / "leases"

    @property
    def secret_key(self) -> Path:
        """The key that digests of secrets are made with."""
        return self.state / "secret-key"

    @property
    def rests(self) -> Path:
        """A file for each workload that was stopped on purpose."""
        return self.state / "rests"

    @property
    def attempts(self) -> Path:
        """A file for each job that is tried again."""
        return self.state / "attempts"

    @property
    def restarts(self) -> Path:
        """A file for each workload that was started again."""
        return self.state / "restarts"

    def manifest(self, environment: str, kind: str, name: str) -> Path:
        """The file that Apply writes for an object."""
        return self.manifests / environment / f"{kind.lower()}.{name}.json"

    def shared(self, environment: str) -> Path:
        """The environment's shared directory, the same path in its containers as on the host."""
        return self.environments / environment

    def put_aside(self, environment: str) -> Path | None:
        """Renames a shared directory that is to be removed; None where there is none. Raises OSError.

        So the environment can have a new one while the removal goes on. One that was put aside before a
        crash is known by its name, which no environment can have.
        """
        directory = self.shared(environment)
        if not directory.exists():
            return None
        if environment.startswith("."):
            return directory
        return directory.rename(self.shared(f".{environment}.{uuid.uuid4().hex[:8]}"))

    def own(self, environment: str, name: str) -> Path:
        """A workload's own directory."""
        return self.shared(environment) / name
