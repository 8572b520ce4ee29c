"""The verb for profiles that workloads have."""

from pathlib import Path

from e2e.aio import http
from e2e.aio._transport import in_thread, pause
from e2e.aio.handle import AsyncHandle
from e2e.profiles import MOST_BYTES, ProfileKind, ProfileRequest, profile_path, profile_request, write_profile
from e2e_api import manifests
from e2e_api.errors import E2EError, InvalidArgument, NotFound, NotRunning, Unavailable, WaitTimeout

_SETTLE = 0.3
"""Seconds after which it is known that a container has ended which stopped answering."""


class AsyncProfiled(AsyncHandle):
    """What can be asked of a workload that serves profiles (`profiles=` names the port)."""

    _manifest: manifests.Workload

    async def profile(
        self,
        kind: ProfileKind,
        *,
        seconds: float | None = None,
        path: str | Path | None = None,
        timeout: float | None = None,
    ) -> Path:
        """Takes a profile of its program, as Go's `net/http/pprof` serves it; gives the file's path.

        Args:
            kind: `cpu`, `heap`, `allocs`, `goroutine`, `block`, `mutex`, `threadcreate`, all for
                `go tool pprof`, or `trace` for `go tool trace`.
            seconds: how long it observes; None is 5 of `cpu`, 1 of `trace`, and for the others what there is
                now: with seconds they tell what changed meanwhile.
            path: the file, or a folder that is there; None is `<workload>-<kind>.pb.gz` in the working
                directory.
            timeout: seconds beyond those, for the answer; None is the environment's.

        Raises NotRunning while it does not run, or when it ends meanwhile; NotFound for a kind that it does
        not serve; InvalidArgument where it has no `profiles`, refuses, or answers with something else;
        WaitTimeout; Unavailable where it does not answer, or takes another such profile already;
        LimitExceeded for more than 256 MiB; E2EError for a file that cannot be written.
        """
        request = await self._profile_request(kind, seconds)
        target = profile_path(path, self._name, kind)
        content = await self._taken(request, self._session.seconds(timeout))
        request.check(content)
        await in_thread(write_profile, target, content)
        return target

    async def _profile_request(self, kind: str, seconds: float | None) -> ProfileRequest:
        profiles = self._manifest.spec.profiles
        if profiles is None:
            message = f"{self._name} is not profiled: give it `profiles`, the port where it serves pprof's"
            raise InvalidArgument(message, reason="NotProfiled")
        profile_request(profiles, "", kind, seconds)  # before it is asked whether it runs
        address = await self.endpoint(profiles.port)
        return profile_request(profiles, address, kind, seconds)

    async def _taken(self, request: ProfileRequest, patience: float) -> bytes:
        what = f"a {request.kind} profile of {self._name}"
        try:
            async with http.new_client() as client:
                return await http.get(
                    client, request.url, seconds=request.seconds + patience, most_bytes=MOST_BYTES
                )
        except (NotFound, InvalidArgument) as error:
            raise type(error)(f"{what} cannot be had: {error.message}", reason=error.reason) from None
        except (Unavailable, WaitTimeout) as error:
            await pause(_SETTLE)
            if not await self.is_running():
                raise NotRunning(
                    f"{self._name} did not run any more before it had answered with {what}"
                ) from None
            raise type(error)(f"{what} was not had: {error.message}", reason=error.reason) from None
        except E2EError as error:
            raise type(error)(f"{what}: {error.message}", reason=error.reason) from None
