"""Desired objects and their status. Only the store mutates; everybody else gets frozen values.

Files say what is desired. Whatever changes is told to the queue (desired state only) and to the subscribers
(everything).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from e2e_api.conditions import ConditionType, Reason
from e2e_controller.admission import Admission
from e2e_controller.definitions import Claim, Definitions
from e2e_controller.dependants import Dependants
from e2e_controller.drivers.base import Key
from e2e_controller.events import EventLog
from e2e_controller.objects import (
    CONTAINER_KINDS,
    ENVIRONMENT,
    FILE,
    Object,
    ObjectStatus,
    Rejection,
    Source,
    acceptance,
    environment_key,
)
from e2e_controller.policy import Judge
from e2e_controller.subscription import Subscription
from e2e_controller.targets import TargetReaders
from e2e_controller.veil import Veil


class Store:
    """All objects of one controller."""

    def __init__(
        self,
        enqueue: Callable[[Key], None],
        events: EventLog,
        veil: Veil | None = None,
        judge: Judge | None = None,
    ) -> None:
        """Without a judge, all that is valid is accepted."""
        self._veil = veil or Veil()
        self._enqueue = enqueue
        self._events = events
        self._objects: dict[Key, Object] = {}
        self._by_environment: dict[str, set[Key]] = {}
        self._definitions = Definitions()
        self._readers = TargetReaders(enqueue)
        self._pinned: dict[str, int] = {}  # environments that somebody holds
        self.admission = Admission(judge, self._objects, self.is_implied)
        self._relations = (
            Dependants(self._dependency_changed),
            self._readers,
            self._veil,
            self.admission.census,
        )
        self._subscriptions: set[Subscription] = set()
        self._version = 0

    # Reading

    def get(self, key: Key) -> Object | None:
        """One object."""
        return self._objects.get(key)

    def select(
        self, environment: str = "", kind: str = "", labels: Mapping[str, str] | None = None
    ) -> list[Object]:
        """The objects that match, sorted by key; empty means any."""
        keys: Iterable[Key] = self._by_environment.get(environment, ()) if environment else self._objects
        wanted = (labels or {}).items()
        found = [self._objects[key] for key in keys if kind in ("", key.kind)]
        return sorted((o for o in found if wanted <= o.labels.items()), key=lambda o: o.key)

    def guarded(self, environment: str) -> list[str]:
        """Names of its workloads whose metrics ask for credentials, or have done so."""
        return sorted(self._readers.guarded.get(environment, ()))

    def find_container(self, environment: str, name: str, but: Key | None = None) -> Object | None:
        """The workload or job of that name, one that stays before one that goes; not `but`."""
        keys = (Key(environment, kind, name) for kind in CONTAINER_KINDS)
        found = [object_ for key in keys if key != but and (object_ := self._objects.get(key)) is not None]
        return min(found, key=lambda object_: object_.deleting, default=None)

    def environments(self) -> list[str]:
        """Names of all environments that have objects, sorted."""
        return sorted(self._by_environment)

    def owner(self, key: Key) -> Source | None:
        """The file that defines the key."""
        return self._definitions.owner(key)

    def subscribe(self, matches: Callable[[Key], bool]) -> Subscription:
        """Collects the keys of objects that change from now on. Close it, or use it as a context."""
        subscription = Subscription(self._subscriptions, matches)
        self._subscriptions.add(subscription)
        return subscription

    async def until_none(self, environment: str, is_so: Callable[[Object], bool]) -> None:
        """Waits until no object of the environment is so."""
        with self.subscribe(lambda key: key.environment == environment) as subscription:
            while any(is_so(object_) for object_ in self.select(environment)):
                await subscription.changed()

    # Desired state

    def set_file(self, path: str, file_key: Key, claims: Iterable[Claim]) -> None:
        """What a file says now; replaces all that it said before. Of two equal keys the first counts.

        `file_key` is the File object that tells of what cannot be told of an object.
        """
        new: dict[Key, Claim] = {}
        for claim in claims:
            new.setdefault(claim.key, claim)
        old = self._definitions.set_file(path, file_key, new)
        for key in old.keys() - new.keys():
            self._definitions.release(key, path)
            self._update_desired(key)
        for key in sorted(new, key=lambda key: key.kind != ENVIRONMENT):  # whose defaults others have
            self._definitions.add(key, path)
            self._update_desired(key)
        for rival in sorted({path, *self._definitions.rivals((*old, *new))}):
            self._update_desired(self._definitions.find_conflict(rival))
        if not new:
            self._definitions.remove_file(path)
        if old:
            self._judge_again()

    def remove_file(self, path: str) -> None:
        """The file is gone, and with it all that it defined."""
        file_key = self._definitions.file_key(path)
        if file_key is not None:
            self.set_file(path, file_key, ())

    def reject_file(self, path: str, file_key: Key, rejection: Rejection) -> None:
        """The file cannot be read: what it defined stays, and its status says so."""
        self.set_file(path, file_key, self._definitions.rejected(path, file_key, rejection))

    def pin(self, environment: str) -> None:
        """Keeps the environment there while it is held, though it has no objects."""
        self._pinned[environment] = self._pinned.get(environment, 0) + 1
        self._update_desired(environment_key(environment))

    def unpin(self, environment: str) -> None:
        """Ends one `pin`."""
        self._pinned[environment] -= 1
        if not self._pinned[environment]:
            del self._pinned[environment]
        self._update_desired(environment_key(environment))
        self._judge_again()

    def is_pinned(self, environment: str) -> bool:
        """Whether somebody has it there by a `pin`."""
        return environment in self._pinned

    def expect_gone(self, environment: str) -> None:
        """Has removed what may be left of an environment without an object; one stands for it until then."""
        key = environment_key(environment)
        if key not in self._objects:
            self._put(Object(key, generation=1, deleting=True))
            self._enqueue(key)

    def renew(self, key: Key) -> None:
        """What the object's manifest points to has changed, though the manifest has not."""
        current = self._objects.get(key)
        if current is not None and not current.deleting:
            self._put(replace(current, generation=current.generation + 1))
            self._enqueue(key)

    def doubt(self, key: Key, reason: Reason | None = None) -> None:
        """What failed the object may be gone: until it was looked at again, nobody is told that it failed.

        With a `reason` that is so only where it failed for that one; it is looked at in any case.
        """
        current = self._objects.get(key)
        failed = current.status.condition(ConditionType.FAILED) if current is not None else None
        if current is not None and current.settled and failed is not None and reason in (None, failed.reason):
            self.renew(key)
        self._enqueue(key)

    def judge_anew(self) -> None:
        """The policy is another one: what was denied, and is not any more, counts now.

        What counts already stays until its file says something else, whatever the policy says by now.
        """
        for key, object_ in sorted(self._objects.items(), key=lambda item: item[0].kind != ENVIRONMENT):
            claim = self._definitions.claim(key)
            if claim is None or claim.manifest in (None, object_.manifest):
                continue
            if object_.manifest is None or not self.admission.denials(key, claim.manifest, claim.source):
                self._update_desired(key)

    # Status

    def set_status(self, key: Key, status: ObjectStatus) -> None:
        """Stores a status, without secrets; nobody hears of one that says nothing new."""
        current = self._objects.get(key)
        status = self._veil.hidden(key, status)
        if current is not None and current.status != status:
            self._put(replace(current, status=status))

    def forget(self, key: Key, generation: int) -> None:
        """Nothing is left of a deleted object; ignored where it came back meanwhile."""
        current = self._objects.get(key)
        if current is None or not current.deleting or current.generation != generation:
            return
        self._drop(key)
        self._judge_again()

    # Inner workings

    def _dependency_changed(self, key: Key) -> None:
        self.doubt(key, Reason.DEPENDENCY_FAILED)

    def _update_desired(self, key: Key, *, anew: bool = False) -> None:
        """Brings the object in line with its first claim; `anew`: its defaults are others."""
        claim = self._definitions.claim(key)
        current = self._objects.get(key)
        claim = self.admission.admitted(claim, current, anew=anew) if claim else None
        if claim is None and not self.is_implied(key):
            self._unwant(key, current)
            return
        base = current or Object(key)
        new = replace(
            base,
            manifest=claim.manifest if claim else None,
            source=claim.source if claim else None,
            rejection=claim.rejection if claim else None,
            deleting=False,
        )
        if current is not None and new == current:
            if key.kind == ENVIRONMENT and new.rejection is not None:
                self._enqueue(key)  # others may ask for it by now, or no longer
            return
        if current is None or new.manifest != base.manifest or base.deleting:
            new = replace(new, generation=base.generation + 1)
        conditions = tuple(c for c in new.status.conditions if c.type != "Accepted")
        status = replace(new.status, conditions=(acceptance(new), *conditions))
        new = replace(new, status=self._veil.hidden(key, status))
        self._put(new)
        if new.rejection is not None and (current is None or current.rejection != new.rejection):
            self._events.record(key, new.rejection.reason, new.rejection.message, warning=True)
        self._enqueue(key)
        if key.kind in CONTAINER_KINDS:
            self._update_desired(environment_key(key.environment))
        elif key.kind == ENVIRONMENT:
            self._defaults_changed(base, new)

    def _unwant(self, key: Key, current: Object | None) -> None:
        if current is None or current.deleting:
            return
        if key.kind == FILE or (current.manifest is None and key.kind != ENVIRONMENT):
            self._drop(key)  # it never had anything in the engine
            return
        self._put(replace(current, deleting=True, rejection=None, generation=current.generation + 1))
        self._enqueue(key)
        if rival := self.find_container(key.environment, key.name, but=key):
            self.doubt(rival.key, Reason.NAME_CONFLICT)

    def _judge_again(self) -> None:
        """Something is gone: what was denied because of others has its chance, in the order of coming."""
        for key in tuple(self.admission.waiting):
            if key in self._definitions:
                self._update_desired(key)
            else:
                del self.admission.waiting[key]

    def counts(self, object_: Object) -> bool:
        """Whether there is a manifest, or another object, that asks for it."""
        return object_.manifest is not None or self.is_implied(object_.key)

    def is_implied(self, key: Key) -> bool:
        """Whether an Environment must be there though no file defines it."""
        if key.kind != ENVIRONMENT:
            return False
        return key.name in self._pinned or any(
            other.kind not in (ENVIRONMENT, FILE) and self._objects[other].manifest is not None
            for other in self._by_environment.get(key.name, ())
        )

    def _defaults_changed(self, before: Object, after: Object) -> None:
        """Its defaults are part of what an environment's objects are: others make another generation."""
        old, new = (object_.manifest and object_.manifest.spec for object_ in (before, after))
        for key in tuple(self._by_environment.get(after.key.environment, ())):
            if key.kind in CONTAINER_KINDS:
                if old != new:
                    self._update_desired(key, anew=True)  # they are judged together with them
                other = self._objects[key]
                if old != new and other.manifest is not None:
                    self._put(replace(other, generation=other.generation + 1))
                self._enqueue(key)

    def _put(self, object_: Object) -> None:
        key, before = object_.key, self._objects.get(object_.key)
        self._version += 1
        self._objects[key] = replace(object_, version=self._version)
        self._by_environment.setdefault(key.environment, set()).add(key)
        self._relate(key, before, object_)
        self._notify(key)

    def _drop(self, key: Key) -> None:
        before = self._objects.pop(key)
        keys = self._by_environment[key.environment]
        keys.discard(key)
        if not keys:
            del self._by_environment[key.environment]
        self._relate(key, before, None)
        self._notify(key)
        if key.kind not in (ENVIRONMENT, FILE):
            self._update_desired(environment_key(key.environment))

    def _relate(self, key: Key, before: Object | None, after: Object | None) -> None:
        for relation in self._relations:
            relation.changed(key, before, after)

    def _notify(self, key: Key) -> None:
        for subscription in self._subscriptions:
            subscription.push(key)
