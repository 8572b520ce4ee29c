"""What an environment's manifest says of its end: kept where something has failed, deleted after a while."""

import asyncio
import logging

from e2e_api.conditions import ConditionType
from e2e_api.manifests import Environment
from e2e_controller.objects import environment_key
from e2e_controller.store import Store

log = logging.getLogger(__name__)

SETTLE_SECONDS = 30.0
"""For which the end of a lease waits to know whether something has failed."""


def ttl_of(store: Store, environment: str) -> float | None:
    """Seconds for which the environment stays while nobody holds it; None: it has no `ttl`."""
    manifest = _manifest(store, environment)
    return manifest.spec.ttl if manifest else None


async def failures_to_keep(store: Store, environment: str) -> str:
    """What has failed where `keepOnFailure` is set, in words; empty where there is nothing to keep."""
    manifest = _manifest(store, environment)
    if manifest is None or not manifest.spec.keep_on_failure:
        return ""
    await _until_settled(store, environment)
    objects = store.select(environment)
    failed = [o.key.name for o in objects if o.status.is_true(ConditionType.FAILED)]
    return f"keepOnFailure, and it has failed: {', '.join(failed[:10])}" if failed else ""


async def _until_settled(store: Store, environment: str) -> None:
    """Waits until it is known how the objects are: a controller that just started has not looked yet."""
    try:
        async with asyncio.timeout(SETTLE_SECONDS):
            await store.until_none(environment, lambda o: o.manifest is not None and not o.settled)
    except TimeoutError:
        log.warning("environment %s ends though not all of its objects were looked at", environment)


def _manifest(store: Store, environment: str) -> Environment | None:
    object_ = store.get(environment_key(environment))
    manifest = object_.manifest if object_ else None
    return manifest if isinstance(manifest, Environment) else None
