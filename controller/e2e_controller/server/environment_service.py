"""EnvironmentService: holds, lists and deletes environments."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from e2e_api.conditions import ConditionType
from e2e_api.v1 import environment_service_pb2 as pb
from e2e_api.v1 import environment_service_pb2_grpc, object_pb2
from e2e_controller.directories import Directories
from e2e_controller.drivers.base import Guest
from e2e_controller.leases import Leases
from e2e_controller.objects import ENVIRONMENT, environment_key
from e2e_controller.reconcile.execute import make_open_directory
from e2e_controller.server.access import Access
from e2e_controller.server.callers import current_caller
from e2e_controller.server.convert import key_from_proto, timestamp
from e2e_controller.shared_folders import SharedFolders


class EnvironmentServicer(environment_service_pb2_grpc.EnvironmentServiceServicer):
    """See `environment_service.proto`."""

    def __init__(
        self, access: Access, leases: Leases, directories: Directories, folders: SharedFolders
    ) -> None:
        self._access = access
        self._store = access.store
        self._leases = leases
        self._directories = directories
        self._folders = folders

    async def Hold(self, request: pb.HoldRequest, context: Any) -> AsyncIterator[pb.HoldResponse]:
        environment = _name(request.environment)
        standpoint = await self._access.standpoint(context)
        async with (
            self._leases.hold(environment, keep=request.keep, fresh=request.fresh),
            standpoint.holding(environment),
        ):
            if self._folders.available:
                make_open_directory(self._directories.shared(environment))
            directory, problem = self._folders.seen_by(standpoint.guest, environment)
            yield pb.HoldResponse(shared_directory=directory, shared_directory_problem=problem)
            await asyncio.Event().wait()  # for ever: the stream ends when the client leaves

    async def ListEnvironments(
        self, request: pb.ListEnvironmentsRequest, context: Any
    ) -> pb.ListEnvironmentsResponse:
        standpoint = await self._access.standpoint(context)
        await self._access.sync_folders()
        seen = filter(current_caller().sees, self._store.environments())
        summaries = [self._summary(environment, standpoint.guest) for environment in seen]
        return pb.ListEnvironmentsResponse(environments=summaries)

    async def DeleteEnvironment(
        self, request: pb.DeleteEnvironmentRequest, context: Any
    ) -> pb.DeleteEnvironmentResponse:
        await self._leases.delete(_name(request.environment))
        return pb.DeleteEnvironmentResponse()

    def _summary(self, environment: str, caller: Guest | None) -> pb.EnvironmentSummary:
        objects = self._store.select(environment)
        own = self._store.get(environment_key(environment))
        end = self._leases.planned_end(environment)
        directory, problem = self._folders.seen_by(caller, environment)
        return pb.EnvironmentSummary(
            environment=environment,
            objects=sum(o.key.kind != ENVIRONMENT for o in objects),
            ready=sum(o.key.kind != ENVIRONMENT and o.status.is_true(ConditionType.READY) for o in objects),
            leases=self._leases.count(environment),
            network=f"e2e-{environment}" if own and own.status.network_id else "",
            shared_directory=directory if own and own.status.directory else "",
            shared_directory_problem=problem,
            ends=timestamp(end.at) if end else None,
            end_cause=end.cause if end else "",
            subnet=self._access.driver.subnet(environment) if own and own.status.network_id else "",
        )


def _name(environment: str) -> str:
    return key_from_proto(object_pb2.ObjectKey(kind=ENVIRONMENT, name=environment)).environment
