"""What each RPC needs of its caller: one line for each, and none that is forgotten is open.

Environments are judged before anything is looked up, so that a refusal says nothing of what there is.
Requests that name no environment mean all of them; their servicers then tell only of the caller's own.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from e2e_api.v1 import object_pb2
from e2e_controller.objects import ENVIRONMENT
from e2e_controller.server.callers import Caller
from e2e_controller.server.convert import key_from_proto

OPEN = frozenset({"/grpc.health.v1.Health/Check"})
"""What needs no token; it says nothing but that the controller serves."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What one RPC needs."""

    environments: Callable[[Any], Iterable[str]] | None
    """Those that a request is about, each message of a stream by itself; None: all that there are."""
    writes: bool | Callable[[Any], bool] = False
    """Whether it changes something; a dry run does not."""

    def check(self, caller: Caller, request: Any) -> None:
        """Raises `PermissionDenied`; `InvalidArgument` where the request's key is none."""
        if self.writes(request) if callable(self.writes) else self.writes:
            caller.check_writes()
        if self.environments is None:
            caller.check_everything("what is asked for")
        elif caller.prefixes is not None:
            caller.check(self.environments(request))


def rule_of(method: str) -> Rule:
    """The rule of an RPC by its full name; of one that is not in the table, the strictest."""
    return _RULES.get(method, _STRICTEST)


def _of_keys(keys: Iterable[object_pb2.ObjectKey]) -> Iterable[str]:
    for message in keys:
        key = key_from_proto(message)
        yield key.environment
        if key.kind == ENVIRONMENT:
            yield key.name


def _of_key(request: Any) -> Iterable[str]:
    return _of_keys([request.key])


def _of_several(request: Any) -> Iterable[str]:
    return _of_keys(request.keys)


def _of_start(request: Any) -> Iterable[str]:
    return _of_keys([request.start.key] if request.HasField("start") else [])


def _of_selection(request: Any) -> Iterable[str]:
    selection = request.selection
    return _of_keys([*selection.keys, *([selection.key] if selection.HasField("key") else [])])


def _of_named(request: Any) -> Iterable[str]:
    return _of_keys([object_pb2.ObjectKey(kind=ENVIRONMENT, name=request.environment)])


def _of_filter(request: Any) -> Iterable[str]:
    return [request.environment] if request.environment else []


def _of_none(_: Any) -> Iterable[str]:
    return []


def _changes(request: Any) -> bool:
    return not request.dry_run


_STRICTEST = Rule(None, writes=True)
_RULES = {
    f"/e2e.v1.{name}": rule
    for name, rule in {
        # Its servicer judges the environments, which stand in the documents.
        "ManifestService/Apply": Rule(_of_none, writes=_changes),
        "ManifestService/Delete": Rule(_of_several, writes=_changes),
        "ManifestService/RunJob": Rule(_of_key, writes=True),
        "ManifestService/Get": Rule(_of_key),
        "ManifestService/List": Rule(_of_filter),
        "ManifestService/Watch": Rule(_of_filter),
        "EnvironmentService/Hold": Rule(_of_named, writes=True),
        "EnvironmentService/ListEnvironments": Rule(_of_none),
        "EnvironmentService/DeleteEnvironment": Rule(_of_named, writes=True),
        "WaitService/WaitConditions": Rule(_of_several),
        "MetricService/WaitMetrics": Rule(_of_selection),
        "MetricService/WatchMetrics": Rule(_of_selection),
        "MetricService/SumMetrics": Rule(_of_selection),
        "MetricService/GetBaseline": Rule(_of_selection),
        "MetricService/GetMetrics": Rule(_of_key),
        "MetricService/GetMetricsPage": Rule(_of_key),
        "ContainerService/Exec": Rule(_of_start, writes=True),
        "ContainerService/CopyIn": Rule(_of_start, writes=True),
        "ContainerService/Logs": Rule(_of_key),
        "ContainerService/CopyOut": Rule(_of_key),
        "ContainerService/Inspect": Rule(_of_key),
        "EventService/WatchEvents": Rule(_of_filter),
        "EvidenceService/CollectEvidence": Rule(_of_named),
        "EvidenceService/GetControllerMetrics": Rule(None),
    }.items()
}
_RULES |= {
    name: Rule(_of_none)
    for name in (
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/List",
        "/grpc.health.v1.Health/Watch",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    )
}
