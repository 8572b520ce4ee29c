"""ManifestService: changes and shows objects."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from typing import Any

from e2e_api.errors import Conflict, InvalidArgument, PolicyDenied
from e2e_api.manifests import ContainerFields, Job, Manifest, dependency_names
from e2e_api.parsing import parse_documents
from e2e_api.problems import UnreadableError
from e2e_api.v1 import manifest_service_pb2 as pb
from e2e_api.v1 import manifest_service_pb2_grpc
from e2e_controller.drivers.base import Key
from e2e_controller.intake import Intake
from e2e_controller.leases import Leases
from e2e_controller.objects import ENVIRONMENT, Object, environment_key
from e2e_controller.reconcile.dependencies import find_cycle
from e2e_controller.reconcile.reconciler import Reconciler
from e2e_controller.server.access import Access
from e2e_controller.server.callers import current_caller
from e2e_controller.server.convert import (
    environment_from_proto,
    key_from_proto,
    key_to_proto,
)
from e2e_controller.server.environment_planning import EnvironmentPlanning
from e2e_controller.server.errors import not_found
from e2e_controller.server.order import in_order
from e2e_controller.server.planning import Planning
from e2e_controller.server.proposal import as_known, has_failed

SMALL = 64 * 1024
"""Characters that are parsed in the event loop; more would stall it."""


class ManifestServicer(manifest_service_pb2_grpc.ManifestServiceServicer):
    """See `manifest_service.proto`."""

    def __init__(
        self,
        access: Access,
        intake: Intake,
        leases: Leases,
        reconciler: Reconciler,
        environments: EnvironmentPlanning,
    ) -> None:
        self._access = access
        self._store = access.store
        self._intake = intake
        self._leases = leases
        self._reconciler = reconciler
        self._planning = Planning(access.store, reconciler, environments, access.veil)

    async def Apply(self, request: pb.ApplyRequest, context: Any) -> pb.ApplyResponse:
        await self._access.sync_folders()
        if len(request.documents) > SMALL:
            manifests = await asyncio.to_thread(self._parse, request)
        else:
            manifests = self._parse(request)
        self._check_policy(manifests)
        if request.dry_run:
            return pb.ApplyResponse(objects=await self._planning.of_changes(manifests))
        for key in manifests:
            self._intake.check_writable(key)
        for environment in dict.fromkeys(key.environment for key in manifests):
            self._try_again(self._store.get(environment_key(environment)))
        applied = {key: await self._apply(key, manifests[key]) for key in in_order(manifests)}
        return pb.ApplyResponse(objects=[applied[key] for key in manifests])

    async def Delete(self, request: pb.DeleteRequest, context: Any) -> pb.DeleteResponse:
        await self._access.sync_folders()
        keys = [key_from_proto(key) for key in request.keys]
        for key in keys:
            if self._store.get(key) is None:
                raise not_found(key)
            if not request.dry_run:
                self._intake.check_writable(key)
        if request.dry_run:
            return pb.DeleteResponse(objects=await self._planning.of_deletions(keys))
        deleted: dict[Key, None] = {}
        for key in keys:
            if key.kind == ENVIRONMENT:
                deleted |= dict.fromkeys(await self._leases.delete(key.environment))
            await self._intake.delete(key)
            deleted[key] = None
        return pb.DeleteResponse(keys=[key_to_proto(key) for key in deleted])

    async def RunJob(self, request: pb.RunJobRequest, context: Any) -> pb.RunJobResponse:
        object_ = await self._access.find(key_from_proto(request.key))
        if not isinstance(object_.manifest, Job) or object_.deleting:
            raise InvalidArgument(f"{object_.key} is no job that could run again", reason="NotAJob")
        owner = self._store.owner(object_.key)
        if owner is not None and not owner.managed:
            message = f"{object_.key} is defined by {owner}; to run it again give it another spec.runId there"
            raise Conflict(message, reason="DefinedByFile")
        spec = object_.manifest.spec.model_copy(update={"run_id": uuid.uuid4().hex[:12]})
        await self._intake.write(object_.key, object_.manifest.model_copy(update={"spec": spec}))
        current = self._store.get(object_.key)
        return pb.RunJobResponse(generation=current.generation if current else 0)

    async def Get(self, request: pb.GetRequest, context: Any) -> pb.GetResponse:
        standpoint = await self._access.standpoint(context)
        object_ = await self._access.find(key_from_proto(request.key))
        return pb.GetResponse(object=await standpoint.told(object_))

    async def List(self, request: pb.ListRequest, context: Any) -> pb.ListResponse:
        standpoint, join = await self._access.standpoint(context), request.environment != ""
        await self._access.sync_folders()
        objects = _seen(self._store.select(request.environment, request.kind, request.labels))
        return pb.ListResponse(objects=[await standpoint.told(object_, join=join) for object_ in objects])

    async def Watch(self, request: pb.WatchRequest, context: Any) -> AsyncIterator[pb.WatchResponse]:
        standpoint, join = await self._access.standpoint(context), request.environment != ""
        await self._access.sync_folders()
        wanted, caller = request.labels.items(), current_caller()

        def matches(key: Key) -> bool:
            return (
                request.environment in ("", key.environment)
                and request.kind in ("", key.kind)
                and caller.sees(key.environment)
            )

        shown: set[Key] = set()
        with self._store.subscribe(matches) as subscription:
            for object_ in _seen(self._store.select(request.environment, request.kind, request.labels)):
                shown.add(object_.key)
                yield pb.WatchResponse(object=await standpoint.told(object_, join=join))
            yield pb.WatchResponse(synced=True)
            while True:
                for key in await subscription.changed():
                    current = self._store.get(key)
                    if current is not None and wanted <= current.labels.items():
                        shown.add(key)
                        yield pb.WatchResponse(object=await standpoint.told(current, join=join))
                    elif key in shown:
                        shown.discard(key)
                        yield pb.WatchResponse(gone=key_to_proto(key))

    def _parse(self, request: pb.ApplyRequest) -> dict[Key, Manifest]:
        """All documents, or `InvalidArgument` that lists all that is wrong with any."""
        environment = environment_from_proto(request.environment)
        try:
            documents = parse_documents(request.documents.encode())
        except UnreadableError as error:
            raise InvalidArgument(str(error), reason="ParseError") from error
        manifests: dict[Key, Manifest] = {}
        violations: list[tuple[str, str]] = []
        for number, document in enumerate(documents, 1):
            place = f"document {number}" + (f" ({document.kind} {document.name})" if document.name else "")
            violations += [(problem.field or place, f"{place}: {problem}") for problem in document.problems]
            if document.manifest is None:
                continue
            key, manifest = self._intake.place(document.manifest, environment)
            if key in manifests:
                violations.append((place, f"{place}: {key} stands there twice"))
            violations += [(place, f"{place}: {text}") for text in _relative_paths(manifest)]
            manifests[key] = manifest
        current_caller().check(key.environment for key in manifests)
        violations += [(str(key), f"{key}: {text}") for key, text in self._cycles(manifests)]
        if not documents:
            violations.append(("documents", "there is no document"))
        if violations:
            text = "\n".join(description for _, description in violations)
            raise InvalidArgument(text, reason="Rejected", violations=violations[:50])
        return manifests

    def _check_policy(self, manifests: Mapping[Key, Manifest]) -> None:
        """Raises `PolicyDenied` that lists all that the policy denies, were these applied together."""
        admission, allowed = self._store.admission, dict[Key, Manifest]()
        violations: list[tuple[str, str]] = []
        for key in in_order(manifests):
            old = self._store.get(key)
            counts = old is not None and not old.deleting and old.rejection is None
            if old is not None and counts and as_known(old, manifests[key]) == old.manifest:
                continue
            denials = admission.denials(key, manifests[key], None, allowed)
            violations += [(denial.rule, f"{key}: {denial}") for denial in denials]
            if not denials:
                allowed[key] = manifests[key]
        if violations:
            text = "\n".join(description for _, description in violations)
            raise PolicyDenied(text, violations=violations[:50])

    def _cycles(self, manifests: Mapping[Key, Manifest]) -> Iterator[tuple[Key, str]]:
        """Objects that would wait for themselves, once these manifests are applied."""
        new = {(key.environment, key.name): manifest for key, manifest in manifests.items()}

        def needs(place: tuple[str, str]) -> Iterator[tuple[str, str]]:
            found = self._store.find_container(*place)
            for name in dependency_names(new.get(place) or (found.manifest if found else None)):
                yield place[0], name

        for key in manifests:
            if cycle := find_cycle((key.environment, key.name), needs):
                way = " -> ".join(name for _, name in cycle)
                yield key, f"spec.dependsOn: it would wait for itself: {way}"

    async def _apply(self, key: Key, manifest: Manifest) -> pb.AppliedObject:
        old = self._store.get(key)
        manifest = as_known(old, manifest)
        action = await self._planning.action(old, manifest)
        applied = pb.AppliedObject(key=key_to_proto(key), action=action)
        if action != pb.APPLY_ACTION_UNCHANGED or (old is not None and old.rejection is not None):
            await self._intake.write(key, manifest)
        if action == pb.APPLY_ACTION_CHANGED and old is not None and old.manifest == manifest:
            self._store.renew(key)
        elif action == pb.APPLY_ACTION_UNCHANGED:
            self._try_again(self._store.get(key))
        current = self._store.get(key)
        applied.generation = current.generation if current else 0
        return applied

    def _try_again(self, object_: Object | None) -> None:
        """Whoever applies what has failed has done something about it: the old verdict counts no more."""
        if object_ is not None and not object_.deleting and has_failed(object_):
            self._reconciler.try_again(object_.key)


def _seen(objects: Iterable[Object]) -> list[Object]:
    """Those that are in the caller's environments."""
    caller = current_caller()
    return [object_ for object_ in objects if caller.sees(object_.key.environment)]


def _relative_paths(manifest: Manifest) -> list[str]:
    """Host paths that mean something only beside a file; the controller cannot know where the client is."""
    spec = manifest.spec
    paths = [volume.source for volume in spec.volumes if volume.is_host_path]
    if isinstance(spec, ContainerFields) and spec.build is not None:
        paths.append(spec.build.context)
    remedy = "give an absolute path; `e2e apply -f` makes paths absolute by itself"
    return [f"path {path!r} is relative: {remedy}" for path in paths if not path.startswith("/")]
