"""Make image references present in the engine: pulled where a registry answers, else built from a recipe.

The recipes are in tests/images/. Exit codes: 0 all are present; 1 at least one is not; 2 wrong usage.
"""

import argparse
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from setup import recipes
from setup.debian import PackageError
from setup.endpoint import EndpointError, find_endpoint, ping
from setup.go_programs import GoError
from setup.images import Engine, ImageError, is_current, make_present
from setup.locks import LockTimeoutError
from setup.recipes import RecipeError, Reference
from setup.rootfs import RootfsError

EXPECTED = (PackageError, GoError, ImageError, LockTimeoutError, RecipeError, RootfsError, OSError)
PING_TIMEOUT = 30


def main() -> int:
    """Do what the command line asks."""
    options = _parse(sys.argv[1:])
    signal.signal(signal.SIGTERM, _stop)
    try:
        engine = _engine()
        references = [Reference.parse(text) for text in options.reference]
        known = [recipe.reference for recipe in recipes.all_recipes()]
    except (EndpointError, RecipeError) as error:
        print(f"images: {error}", file=sys.stderr)
        return 1
    if options.list:
        return _list(engine)
    return _make_all_present(engine, known if options.all else references)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("reference", nargs="*", help="an image, as quay.io/prometheus/prometheus:v3.5.0")
    parser.add_argument("--all", action="store_true", help="every image that has a recipe")
    parser.add_argument("--list", action="store_true", help="show the images that have a recipe, and stop")
    options = parser.parse_args(arguments)
    if options.all + options.list + bool(options.reference) != 1:
        parser.error("give references, or --all, or --list")
    return options


def _engine() -> Engine:
    endpoint = find_endpoint()
    try:
        ping(endpoint, PING_TIMEOUT)
    except EndpointError as error:
        raise EndpointError(f"{error}\nStart an engine first: `python3 tools/engine.py`.") from error
    return Engine(endpoint)


def _list(engine: Engine) -> int:
    for recipe in recipes.all_recipes():
        state = "present" if is_current(engine, recipe.reference, recipe) else "missing"
        print(f"{recipe.reference}  {state}  recipe {recipe.name} {recipe.digest}")
    return 0


def _make_all_present(engine: Engine, references: Sequence[Reference]) -> int:
    outcomes: dict[Reference, str] = {}
    failed = False
    for reference in references:
        try:
            outcomes[reference] = make_present(engine, reference)
        except EXPECTED as error:
            outcomes[reference] = f"FAILED: {error}"
            failed = True
    for reference, outcome in outcomes.items():
        print(f"{reference}: {outcome}", flush=True)
    return 1 if failed else 0


def _stop(_number: int, _frame: FrameType | None) -> None:
    # As an exception, so that the temporary folders and the children go too.
    raise SystemExit(143)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
