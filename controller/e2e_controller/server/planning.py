"""Dry runs: what the next reconcile would do about changes that nobody has made yet."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from e2e_api.conditions import ConditionType
from e2e_api.manifests import Job, Manifest, to_document
from e2e_api.v1 import manifest_service_pb2 as pb
from e2e_controller.drivers.base import Key, NameTaken
from e2e_controller.objects import ENVIRONMENT, FILE, Object
from e2e_controller.reconcile.reconciler import Reconciler
from e2e_controller.server.convert import key_to_proto
from e2e_controller.server.differences import differences
from e2e_controller.store import Store


def action_of(old: Object | None, manifest: Manifest) -> "pb.ApplyAction.ValueType":
    """What it means for an object to be given that manifest."""
    if old is None or old.deleting or old.manifest is None:
        return pb.APPLY_ACTION_CREATED
    return pb.APPLY_ACTION_UNCHANGED if old.manifest == manifest else pb.APPLY_ACTION_CHANGED


def with_run_id(old: Object | None, manifest: Manifest) -> Manifest:
    """The manifest, with the run that was asked for since, where it names none: it asks for no other."""
    known = old.manifest if old is not None and old.managed and not old.deleting else None
    if not isinstance(known, Job) or not isinstance(manifest, Job) or manifest.spec.run_id:
        return manifest
    spec = manifest.spec.model_copy(update={"run_id": known.spec.run_id})
    return manifest.model_copy(update={"spec": spec})


def has_failed(object_: Object) -> bool:
    """Whether it could not be made as asked, so that somebody who applies it again means: try now."""
    status = object_.status
    if object_.key.kind == ENVIRONMENT:
        return object_.settled and not status.is_true(ConditionType.READY)
    return status.is_true(ConditionType.FAILED) or status.retry_at is not None


class Planning:
    """Plans as the reconciler does, and changes nothing."""

    def __init__(self, store: Store, reconciler: Reconciler) -> None:
        self._store = store
        self._reconciler = reconciler

    async def action(self, old: Object | None, manifest: Manifest) -> "pb.ApplyAction.ValueType":
        """What applying it means, a build context that has changed included."""
        action = action_of(old, manifest)
        if old is None or action != pb.APPLY_ACTION_UNCHANGED:
            return action
        changed = await self._reconciler.context_changed(old)
        return pb.APPLY_ACTION_CHANGED if changed else action

    async def of_changes(self, manifests: Mapping[Key, Manifest]) -> list[pb.AppliedObject]:
        """What applying all of these would do."""
        manifests = {key: with_run_id(self._store.get(key), given) for key, given in manifests.items()}
        environments = {
            key.name: replace(self._store.get(key) or Object(key), manifest=manifest)
            for key, manifest in manifests.items()
            if key.kind == ENVIRONMENT
        }
        planned = []
        for key, manifest in manifests.items():
            old = self._store.get(key)
            wanted = replace(old or Object(key), manifest=manifest, deleting=False)
            applied = pb.AppliedObject(
                key=key_to_proto(key), action=await self.action(old, manifest), generation=wanted.generation
            )
            if applied.action == pb.APPLY_ACTION_CHANGED and old is not None and old.manifest is not None:
                found = differences(to_document(old.manifest), to_document(manifest))
                applied.changes.extend(pb.FieldChange(path=c.path, old=c.old, new=c.new) for c in found)
            if key.kind == ENVIRONMENT:
                applied.plan.extend(await self._of_others(environments[key.name], manifests))
            else:
                applied.plan.extend(await self._steps(wanted, environments.get(key.environment)))
            planned.append(applied)
        return planned

    async def of_deletions(self, keys: Iterable[Key]) -> list[pb.AppliedObject]:
        """What deleting all of these would do; an Environment takes what Apply wrote in it along."""
        wanted: dict[Key, None] = {}
        for key in keys:
            if key.kind == ENVIRONMENT:
                objects = self._store.select(key.environment)
                wanted |= dict.fromkeys(o.key for o in objects if o.managed and not o.deleting)
            wanted[key] = None
        planned = []
        for key in wanted:
            applied = pb.AppliedObject(key=key_to_proto(key), action=pb.APPLY_ACTION_DELETED)
            object_ = self._store.get(key)
            if object_ is not None and key.kind != ENVIRONMENT:
                applied.plan.extend(await self._steps(replace(object_, deleting=True), None))
            planned.append(applied)
        return planned

    async def _of_others(self, environment: Object, given: Mapping[Key, Manifest]) -> list[str]:
        """What new defaults do to the objects of the environment that are not given themselves."""
        lines = []
        for object_ in self._store.select(environment.key.environment):
            if object_.key in given or object_.key.kind in (ENVIRONMENT, FILE):
                continue
            lines += [f"{object_.key.name}: {step}" for step in await self._steps(object_, environment)]
        return lines

    async def _steps(self, object_: Object, environment: Object | None) -> list[str]:
        try:
            plan = await self._reconciler.plan(object_, environment)
        except NameTaken as error:
            return [f"refuse: {error}"]
        return [*map(str, plan.steps), *([f"wait: {plan.waiting.message}"] if plan.waiting else [])]
