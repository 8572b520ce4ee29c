"""`python -m e2e_controller.gc --json [--remove] [--controller ID]`: garbage on the engine, for `e2e gc`.

A process of its own, since only the controller's side talks to an engine.
"""

import argparse
import asyncio
import json
from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError
from pydantic_settings import SettingsError

from e2e_controller.drivers.base import DriverError
from e2e_controller.drivers.docker.engine import Engine
from e2e_controller.drivers.docker.inventory import DockerInventory
from e2e_controller.garbage import REMOVABLE, Garbage, Leak, Removal, Survey
from e2e_controller.settings import Settings, describe
from e2e_controller.state_folder import host_identity


def main() -> None:
    """Writes one JSON document; what is wrong is in it, and the exit code is 0."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", required=True, help="the only form there is")
    parser.add_argument("--remove", action="store_true", help="remove it; else it is only listed")
    parser.add_argument("--controller", default="", help="only what this one left, wherever it lived")
    arguments = parser.parse_args()
    done = asyncio.run(collect(arguments.controller, remove=arguments.remove))
    print(json.dumps(done))  # noqa: T201 - what it is for


async def collect(controller: str, *, remove: bool) -> dict[str, Any]:
    """What there is and what became of it, or why it cannot be told."""
    try:
        settings = Settings()
    except (ValidationError, SettingsError) as error:
        text = describe(error) if isinstance(error, ValidationError) else str(error)
        return {"error": f"the controller's settings, from the environment: {text}"}
    parallelism, timeout = settings.engine_parallelism, settings.engine_timeout
    engine = Engine(settings.engine or None, parallelism, timeout, None)
    state = settings.state_dir.absolute()
    garbage = Garbage(DockerInventory(engine), host_identity(state), [state])
    try:
        survey = await garbage.find()
        if refusal := _refusal(survey, controller):
            return {"error": refusal}
        leaks = [leak for leak in survey.leaks if controller in ("", leak.thing.owner.controller_id)]
        chosen = [leak for leak in leaks if controller or leak.state in REMOVABLE]
        removals = await garbage.remove(chosen) if remove else []
        return {"things": list(_documents(leaks, removals))}
    except DriverError as error:
        return {"error": str(error)}
    finally:
        await engine.close()


def _refusal(survey: Survey, controller: str) -> str:
    """Why nothing can be done for the controller that was named; "" where it can."""
    folders = [owner.state_dir for owner in survey.live if owner.controller_id == controller]
    if not folders:
        return ""
    return (
        f"controller {controller} runs (state folder {folders[0]}), so nothing of it is garbage; "
        "end it first, or delete its environments with `e2e delete`"
    )


def _documents(leaks: Iterable[Leak], removals: Iterable[Removal]) -> Iterable[dict[str, str]]:
    problems = {removal.leak: removal.problem for removal in removals}
    for leak in leaks:
        thing, problem = leak.thing, problems.get(leak)
        result = "found" if problem is None else "failed" if problem else "removed"
        yield {
            "controller": thing.owner.controller_id,
            "state": leak.state,
            "stateDirectory": thing.owner.state_dir,
            "environment": thing.environment,
            "kind": thing.kind,
            "name": thing.name,
            "result": result,
            "reason": problem or "",
        }


if __name__ == "__main__":
    main()
