"""Dry runs: what the next reconcile would do about changes that nobody has made yet."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import replace

from e2e_api.manifests import Manifest, to_document
from e2e_api.v1 import manifest_service_pb2 as pb
from e2e_controller.drivers.base import Key, NameTaken
from e2e_controller.objects import CONTAINER_KINDS, ENVIRONMENT, Object, environment_key
from e2e_controller.reconcile.dependencies import NOW, Surroundings
from e2e_controller.reconcile.reconciler import Reconciler
from e2e_controller.server.convert import key_to_proto
from e2e_controller.server.differences import differences
from e2e_controller.server.environment_planning import EnvironmentPlanning
from e2e_controller.server.proposal import Proposal, action_of, propose, spelled_out
from e2e_controller.store import Store
from e2e_controller.targets import reads_targets
from e2e_controller.veil import Veil


class Planning:
    """Plans as the reconciler does, and changes nothing."""

    def __init__(
        self, store: Store, reconciler: Reconciler, environments: EnvironmentPlanning, veil: Veil
    ) -> None:
        self._store = store
        self._reconciler = reconciler
        self._environments = environments
        self._veil = veil

    async def action(self, old: Object | None, manifest: Manifest) -> "pb.ApplyAction.ValueType":
        """What applying it means, a build context that has changed included."""
        action = action_of(old, manifest)
        if old is None or action != pb.APPLY_ACTION_UNCHANGED:
            return action
        changed = await self._reconciler.context_changed(old)
        return pb.APPLY_ACTION_CHANGED if changed else action

    async def of_changes(self, manifests: Mapping[Key, Manifest]) -> list[pb.AppliedObject]:
        """What applying all of these would do."""
        proposal = await propose(self._store, self.action, manifests)
        planned = [await self._change(key, proposal) for key in manifests]
        for environment in dict.fromkeys(key.environment for key in manifests):
            own = environment_key(environment)
            if own not in manifests and self._environments.is_new(environment):
                applied = self._told(own, pb.APPLY_ACTION_CREATED)
                applied.plan.extend(await self._environments.creation(environment))
                planned.append(applied)
            planned += await self._of_readers(environment, manifests, proposal.surroundings(environment))
        return planned

    async def of_deletions(self, keys: Iterable[Key]) -> list[pb.AppliedObject]:
        """What deleting all of these would do; an Environment takes what Apply wrote in it along."""
        wanted: dict[Key, None] = {}
        for key in keys:
            if key.kind == ENVIRONMENT:
                objects = self._store.select(key.environment)
                wanted |= dict.fromkeys(o.key for o in objects if o.managed and not o.deleting)
            wanted[key] = None
        planned = [await self._deletion(key) for key in wanted if key.kind != ENVIRONMENT]
        for environment in dict.fromkeys(key.environment for key in wanted):
            planned += await self._of_readers(environment, wanted, self._without(environment, wanted))
            planned += await self._end(environment, wanted)
        return planned

    async def _change(self, key: Key, proposal: Proposal) -> pb.AppliedObject:
        old, new = self._store.get(key), proposal.objects[key]
        applied = self._told(key, proposal.actions[key])
        applied.generation = old.generation if old else 0
        before = spelled_out(old) if old else None
        if applied.action == pb.APPLY_ACTION_CHANGED and before is not None and new.manifest is not None:
            secrets = self._veil.secrets(key.environment)
            found = differences(to_document(before), to_document(new.manifest), secrets)
            applied.changes.extend(pb.FieldChange(path=c.path, old=c.old, new=c.new) for c in found)
        if key.kind == ENVIRONMENT:
            applied.plan.extend(await self._environments.creation(key.environment))
            applied.plan.extend(await self._of_others(new, proposal))
        else:
            applied.plan.extend(await self._steps(new, proposal.surroundings(key.environment)))
        return applied

    async def _of_others(self, environment: Object, proposal: Proposal) -> list[str]:
        """What new defaults do to the objects of the environment that are not given themselves."""
        name, lines = environment.key.environment, []
        for object_ in self._store.select(name):
            if object_.key.kind not in CONTAINER_KINDS or reads_targets(object_):
                continue  # what becomes of readers is told of themselves
            if object_.key not in proposal.actions:
                steps = await self._steps(object_, proposal.surroundings(name))
                lines += [f"{object_.key.name}: {step}" for step in steps]
        return lines

    async def _of_readers(
        self, environment: str, given: Container[Key], surroundings: Surroundings
    ) -> list[pb.AppliedObject]:
        """What becomes of files that are rendered from the objects of the environment.

        Told as objects that are unchanged themselves; of those that are given, it is part of their own plan.
        """
        planned = []
        for object_ in self._store.select(environment):
            if object_.key in given or object_.deleting or not reads_targets(object_):
                continue
            steps = await self._steps(object_, surroundings)
            if steps != await self._steps(object_):
                key = key_to_proto(object_.key)
                planned.append(pb.AppliedObject(key=key, action=pb.APPLY_ACTION_UNCHANGED, plan=steps))
        return planned

    def _without(self, environment: str, deleted: Container[Key]) -> Surroundings:
        objects = self._store.select(environment)
        return Surroundings(neighbours=lambda: (o for o in objects if o.key not in deleted))

    async def _deletion(self, key: Key) -> pb.AppliedObject:
        applied, object_ = self._told(key, pb.APPLY_ACTION_DELETED), self._store.get(key)
        if object_ is not None:
            applied.plan.extend(await self._steps(replace(object_, deleting=True)))
        return applied

    async def _end(self, environment: str, deleted: Mapping[Key, None]) -> list[pb.AppliedObject]:
        """What becomes of the environment; nothing to tell where it stays and nobody asked it to go."""
        own = environment_key(environment)
        stays = self._environments.reason_to_stay(environment, deleted)
        if stays and own not in deleted:
            return []
        applied = self._told(own, pb.APPLY_ACTION_DELETED)
        applied.plan.extend([f"keep: {stays}"] if stays else await self._environments.removal(environment))
        return [applied]

    def _told(self, key: Key, action: "pb.ApplyAction.ValueType") -> pb.AppliedObject:
        owner = self._store.owner(key)
        place = str(owner) if owner is not None and not owner.managed else ""
        return pb.AppliedObject(key=key_to_proto(key), action=action, defined_by=place)

    async def _steps(self, object_: Object, surroundings: Surroundings = NOW) -> list[str]:
        try:
            plan = await self._reconciler.plan(object_, surroundings)
        except NameTaken as error:
            return [f"refuse: {error}"]
        return [*map(str, plan.steps), *([f"wait: {plan.waiting.message}"] if plan.waiting else [])]
