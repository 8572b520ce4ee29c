"""What objects would be, were manifests applied that nobody has applied yet. Changes nothing."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from e2e_api.conditions import ConditionType
from e2e_api.manifests import Job, Manifest, with_host_paths
from e2e_api.v1 import manifest_service_pb2 as pb
from e2e_controller.drivers.base import Key
from e2e_controller.objects import CONTAINER_KINDS, ENVIRONMENT, Object, environment_key
from e2e_controller.reconcile.dependencies import Find, Surroundings
from e2e_controller.store import Store

ActionOf = Callable[[Object | None, Manifest], Awaitable["pb.ApplyAction.ValueType"]]


@dataclass(frozen=True, slots=True)
class Proposal:
    """Objects as they would be before the next reconcile has looked at them."""

    store: Store
    actions: Mapping[Key, "pb.ApplyAction.ValueType"]
    """Of the given manifests, in their order."""
    objects: Mapping[Key, Object]
    """These, and others that new defaults of their environment change."""

    def find(self, environment: str) -> Find:
        """Looks up what objects of that environment would depend on."""

        def find(name: str) -> Object | None:
            keys = (Key(environment, kind, name) for kind in CONTAINER_KINDS)
            proposed = next((self.objects[key] for key in keys if key in self.objects), None)
            return proposed or self.store.find_container(environment, name)

        return find

    def surroundings(self, environment: str) -> Surroundings:
        """What plans for objects of that environment would depend on."""

        def neighbours() -> Iterable[Object]:
            there = {object_.key: object_ for object_ in self.store.select(environment)}
            new = {key: o for key, o in self.objects.items() if key.environment == environment}
            return (there | new).values()

        own = self.objects.get(environment_key(environment))
        return Surroundings(own, self.find(environment), neighbours)


async def propose(store: Store, action: ActionOf, manifests: Mapping[Key, Manifest]) -> Proposal:
    """What applying these would make of the objects."""
    actions: dict[Key, pb.ApplyAction.ValueType] = {}
    objects: dict[Key, Object] = {}
    for key, given in manifests.items():
        old = store.get(key)
        manifest = as_known(old, given)
        actions[key] = await action(old, manifest)
        again = actions[key] != pb.APPLY_ACTION_UNCHANGED or (old is not None and has_failed(old))
        new = replace(old or Object(key), manifest=manifest, rejection=None, deleting=False)
        objects[key] = _unsettled(new) if again else new
    for key, what in actions.items():
        if key.kind == ENVIRONMENT and what != pb.APPLY_ACTION_UNCHANGED:
            for other in store.select(key.environment):
                if other.key.kind in CONTAINER_KINDS:
                    objects[other.key] = _unsettled(objects.get(other.key, other))
    return Proposal(store, actions, objects)


def action_of(old: Object | None, manifest: Manifest) -> "pb.ApplyAction.ValueType":
    """What it means for an object to be given that manifest."""
    if old is None or old.deleting or old.manifest is None:
        return pb.APPLY_ACTION_CREATED
    return pb.APPLY_ACTION_UNCHANGED if old.manifest == manifest else pb.APPLY_ACTION_CHANGED


def has_failed(object_: Object) -> bool:
    """Whether it could not be made as asked, so that somebody who applies it again means: try now."""
    status = object_.status
    if object_.key.kind == ENVIRONMENT:
        return object_.settled and not status.is_true(ConditionType.READY)
    return status.is_true(ConditionType.FAILED) or status.retry_at is not None


def as_known(old: Object | None, manifest: Manifest) -> Manifest:
    """The manifest as the object has it, where it says the same in other words."""
    if old is None or old.deleting or old.manifest is None:
        return manifest
    if old.managed:
        return _with_run_id(old.manifest, manifest)
    return old.manifest if spelled_out(old) == manifest else manifest


def spelled_out(object_: Object) -> Manifest | None:
    """What a file defines, as it would have to be applied: with its environment and absolute paths."""
    manifest, source = object_.manifest, object_.source
    if manifest is None or source is None or source.managed:
        return manifest
    if object_.key.kind != ENVIRONMENT:
        metadata = manifest.metadata.model_copy(update={"environment": object_.key.environment})
        manifest = manifest.model_copy(update={"metadata": metadata})
    folder = Path(source.path).parent
    return with_host_paths(manifest, lambda path: str((folder / path).resolve()))


def _with_run_id(known: Manifest, manifest: Manifest) -> Manifest:
    """With the run that was asked for since, where it names none: it asks for no other."""
    if not isinstance(known, Job) or not isinstance(manifest, Job):
        return manifest
    if manifest.spec.run_id or not known.spec.run_id:
        return manifest
    spec = manifest.spec.model_copy(update={"run_id": known.spec.run_id})
    return manifest.model_copy(update={"spec": spec})


def _unsettled(object_: Object) -> Object:
    return replace(object_, generation=object_.generation + 1)
