"""ManifestService: changes and shows objects."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from e2e_api.errors import InvalidArgument
from e2e_api.manifests import Manifest, Workload
from e2e_api.parsing import UnreadableError, parse_documents
from e2e_api.v1 import manifest_service_pb2 as pb
from e2e_api.v1 import manifest_service_pb2_grpc
from e2e_controller.drivers.base import Key
from e2e_controller.intake import Intake
from e2e_controller.leases import Leases
from e2e_controller.objects import ENVIRONMENT
from e2e_controller.reconcile.reconciler import Reconciler
from e2e_controller.server.access import Access
from e2e_controller.server.convert import key_from_proto, key_to_proto, object_to_proto
from e2e_controller.server.errors import not_found
from e2e_controller.server.planning import Planning, action_of

SMALL = 64 * 1024
"""Characters that are parsed in the event loop; more would stall it."""


class ManifestServicer(manifest_service_pb2_grpc.ManifestServiceServicer):
    """See `manifest_service.proto`."""

    def __init__(self, access: Access, intake: Intake, leases: Leases, reconciler: Reconciler) -> None:
        self._access = access
        self._store = access.store
        self._intake = intake
        self._leases = leases
        self._planning = Planning(access.store, reconciler)

    async def Apply(self, request: pb.ApplyRequest, context: Any) -> pb.ApplyResponse:
        await self._access.sync_folders()
        if len(request.documents) > SMALL:
            manifests = await asyncio.to_thread(self._parse, request)
        else:
            manifests = self._parse(request)
        for key, manifest in manifests.items():
            unchanged = action_of(self._store.get(key), manifest) == pb.APPLY_ACTION_UNCHANGED
            if not (request.dry_run and unchanged):
                self._intake.check_writable(key)
        if request.dry_run:
            return pb.ApplyResponse(objects=await self._planning.of_changes(manifests))
        response = pb.ApplyResponse()
        for key, manifest in manifests.items():
            response.objects.append(await self._apply(key, manifest))
        return response

    async def Delete(self, request: pb.DeleteRequest, context: Any) -> pb.DeleteResponse:
        await self._access.sync_folders()
        keys = [key_from_proto(key) for key in request.keys]
        for key in keys:
            if self._store.get(key) is None:
                raise not_found(key)
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

    async def Get(self, request: pb.GetRequest, context: Any) -> pb.GetResponse:
        object_ = await self._access.find(key_from_proto(request.key))
        return pb.GetResponse(object=object_to_proto(object_))

    async def List(self, request: pb.ListRequest, context: Any) -> pb.ListResponse:
        await self._access.sync_folders()
        objects = self._store.select(request.environment, request.kind, request.labels)
        return pb.ListResponse(objects=[object_to_proto(object_) for object_ in objects])

    async def Watch(self, request: pb.WatchRequest, context: Any) -> AsyncIterator[pb.WatchResponse]:
        await self._access.sync_folders()
        wanted = request.labels.items()

        def matches(key: Key) -> bool:
            return request.environment in ("", key.environment) and request.kind in ("", key.kind)

        shown: set[Key] = set()
        subscription = self._store.subscribe(matches)
        try:
            for object_ in self._store.select(request.environment, request.kind, request.labels):
                shown.add(object_.key)
                yield pb.WatchResponse(object=object_to_proto(object_))
            yield pb.WatchResponse(synced=True)
            while True:
                for key in await subscription.changed():
                    current = self._store.get(key)
                    if current is not None and wanted <= current.labels.items():
                        shown.add(key)
                        yield pb.WatchResponse(object=object_to_proto(current))
                    elif key in shown:
                        shown.discard(key)
                        yield pb.WatchResponse(gone=key_to_proto(key))
        finally:
            subscription.close()

    def _parse(self, request: pb.ApplyRequest) -> dict[Key, Manifest]:
        """All documents, or `InvalidArgument` that lists all that is wrong with any."""
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
            key, manifest = self._intake.place(document.manifest, request.environment)
            if key in manifests:
                violations.append((place, f"{place}: {key} stands there twice"))
            violations += [(place, f"{place}: {text}") for text in _relative_paths(manifest)]
            manifests[key] = manifest
        if not documents:
            violations.append(("documents", "there is no document"))
        if violations:
            text = "\n".join(description for _, description in violations)
            raise InvalidArgument(text, reason="Rejected", violations=violations[:50])
        return manifests

    async def _apply(self, key: Key, manifest: Manifest) -> pb.AppliedObject:
        old = self._store.get(key)
        action = action_of(old, manifest)
        applied = pb.AppliedObject(key=key_to_proto(key), action=action)
        if action != pb.APPLY_ACTION_UNCHANGED or (old is not None and old.rejection is not None):
            await self._intake.write(key, manifest)
        current = self._store.get(key)
        applied.generation = current.generation if current else 0
        if key.kind == ENVIRONMENT:
            self._leases.environment_changed(key.environment)
        return applied


def _relative_paths(manifest: Manifest) -> list[str]:
    """Host paths that mean something only beside a file; the controller cannot know where the client is."""
    spec = manifest.spec
    paths = [volume.source for volume in spec.volumes if volume.is_host_path]
    if isinstance(manifest, Workload) and manifest.spec.build is not None:
        paths.append(manifest.spec.build.context)
    remedy = "give an absolute path; `e2e apply -f` makes paths absolute by itself"
    return [f"path {path!r} is relative: {remedy}" for path in paths if not path.startswith("/")]
