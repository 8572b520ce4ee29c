"""`python -m e2e_controller.policing --json show|check`: policies, for `e2e policy`. It asks no engine."""

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import SettingsError

from e2e_api.conditions import Reason
from e2e_controller.directories import Directories
from e2e_controller.events import EventLog
from e2e_controller.intake import Intake
from e2e_controller.objects import FILE, Object
from e2e_controller.policy import Policy, load_policy, make_judge
from e2e_controller.settings import Settings, describe
from e2e_controller.sources.reading import SourceFile, read_file
from e2e_controller.sources.scan import scan_folder
from e2e_controller.store import Store


def main() -> None:
    """Writes one JSON document; what is wrong is in it, and the exit code is 0."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", required=True, help="the only form there is")
    parser.add_argument("--policy", default="", help="default: that of the settings, else restricted")
    parser.add_argument("verb", choices=("show", "check"))
    parser.add_argument("paths", nargs="*", type=Path, help="files and folders of manifests")
    arguments = parser.parse_args()
    print(json.dumps(answer(arguments.verb, arguments.policy, arguments.paths)))  # noqa: T201 - what it is for


def answer(verb: str, given: str, paths: Sequence[Path]) -> dict[str, Any]:
    """The policy with all its rules, or what it says to each object; or why that cannot be told."""
    try:
        settings = Settings()
        policy = load_policy(given or settings.policy or "restricted")
    except ValidationError as error:
        return {"error": f"the controller's settings, from the environment: {describe(error)}"}
    except (SettingsError, ValueError) as error:
        return {"error": str(error)}
    if verb == "show":
        return {"policy": policy.model_dump(mode="json", by_alias=True, exclude_none=True)}
    return {"objects": list(map(_document, check(policy, settings, paths)))}


def check(policy: Policy, settings: Settings, paths: Iterable[Path]) -> list[Object]:
    """The objects, as a controller that watched those folders would have them before it asks its engine."""
    state = settings.state_dir.absolute()
    files = [file for path in paths for file in _files(path.absolute())]
    roots = [path.absolute() if path.is_dir() else path.absolute().parent for path in paths]
    judge = make_judge(policy, state, roots)
    store = Store(lambda _key: None, EventLog(lambda: datetime.now(UTC)), judge=judge)
    intake = Intake(store, Directories(state), settings.default_environment)
    for file in files:
        intake.changed(file)
    return [object_ for object_ in store.select() if object_.source is not None]


def _files(path: Path) -> Iterable[SourceFile]:
    """In the order in which a controller reads them."""
    root = str(path if path.is_dir() else path.parent)
    found = sorted(scan_folder(root).files) if path.is_dir() else [str(path)]
    return [read_file(name).to_source_file(root) for name in found]


def _document(object_: Object) -> Mapping[str, str]:
    rejection, result = object_.rejection, "allowed"
    if rejection is not None:
        result = "denied" if rejection.reason is Reason.POLICY_DENIED else "invalid"
    key = object_.key
    return {
        "environment": key.environment,
        "kind": key.kind,
        "name": key.name if key.kind != FILE else "",
        "source": str(object_.source),
        "result": result,
        "message": rejection.message if rejection else "",
    }


if __name__ == "__main__":
    main()
