"""What ready-made systems build on: functions that work with either kind of environment."""

from typing import Protocol, TypeVar, Unpack

from e2e.options import WorkloadOptions


class Linked(Protocol):
    """A workload as others see it before it is started, of either kind."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    def internal_endpoint(self, port: str) -> str:
        """`name:port` for other workloads of the environment."""
        ...


AnyWorkload = TypeVar("AnyWorkload", bound=Linked, covariant=True)
"""`Workload` of an `Environment`, `AsyncWorkload` of an `AsyncEnvironment`."""


class AnyEnvironment(Protocol[AnyWorkload]):
    """An environment of either kind, whose workloads are `AnyWorkload`.

    def web(env: AnyEnvironment[AnyWorkload], name: str) -> AnyWorkload:
        return env.workload(name, image="nginx:1.27", ports={"http": 80})
    """

    def workload(self, name: str, **options: Unpack[WorkloadOptions]) -> AnyWorkload:
        """Defines a workload."""
        ...
