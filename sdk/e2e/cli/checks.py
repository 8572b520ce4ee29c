"""What `e2e doctor` looks at. Each check gives findings; none raises."""

import os
import platform
import re
import shutil
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Any

from e2e import Client, E2EError, embedded
from e2e.addresses import VARIABLE, Controller
from e2e.cgroups.leftovers import find_leftovers
from e2e.cli.controller_side import ask
from e2e.cli.files import Given
from e2e_api.manifests import ContainerFields

_ENGINE_SECONDS = 90.0
_GIGABYTE = 10**9
_FROM = re.compile(r"^[ \t]*FROM[ \t]+(?:--\S+[ \t]+)*(\S+)(?:[ \t]+AS[ \t]+(\S+))?", re.I | re.M)
_LITTLE_SPACE = 2 * _GIGABYTE
_NO_SPACE = _GIGABYTE // 5
_INOTIFY = Path("/proc/sys/fs/inotify")
_RECIPES = Path("tests/images")
_DOCKER_HUB = "docker.io/library/"
_FEW = {"max_user_watches": 8192, "max_user_instances": 64}


class Mark(StrEnum):
    """How a finding is."""

    GOOD = "✓"
    WARNING = "!"
    BAD = "✗"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's."""

    mark: Mark
    text: str
    remedy: str = ""


def check_package() -> Iterator[Finding]:
    """What runs here."""
    where = f"{platform.system()} {platform.machine()}"
    yield Finding(
        Mark.GOOD, f"e2e {version('e2e-controller')} on Python {platform.python_version()}, {where}"
    )


def ask_engine(images: Sequence[str]) -> Mapping[str, Any]:
    """What the controller's side finds out about the engine and these images."""
    return ask("doctor", *images, seconds=_ENGINE_SECONDS)


def named_controller(address: str | Controller | None) -> str:
    """The controller that is to be used; empty where one is started here, which needs an engine."""
    given = address.address if isinstance(address, Controller) else address
    return given or os.environ.get(VARIABLE, "")


def check_engine(answer: Mapping[str, Any], named: str = "") -> Iterator[Finding]:
    """Whether an engine answers, and which; a controller that is `named` has its own."""
    if "error" in answer and named:
        text = f"engine, and what cAdvisor sees there: not looked at from here: {answer['error']}"
        remedy = f"none is needed here: the controller at {named} has its own; `e2e doctor` there looks at it"
        yield Finding(Mark.WARNING, text, remedy)
        return
    if "error" in answer:
        yield Finding(Mark.BAD, f"engine: {answer['error']}")
        return
    engine = answer["engine"]
    program = f"{'rootless ' if engine['is_rootless'] else ''}{engine['program']}"
    yield Finding(
        Mark.GOOD,
        f"engine: {engine['address']} ({engine['source']}), {program}, version {engine['version']}, "
        f"API {engine['api_version']}, on {engine['operating_system']}",
    )
    yield from _limits(engine)
    if engine["free_bytes"] is not None:
        yield _space(f"engine's data in {engine['data_folder']}", engine["free_bytes"])


def _limits(engine: Mapping[str, Any]) -> Iterator[Finding]:
    """What does not work with such an engine, or not as with Docker's on this machine."""
    address = engine["publish_address"]
    if not engine["local_files"]:
        where = "are" if engine["is_remote"] else "may be"
        text = (
            f"engine: its files {where} on another machine: shared directories and host paths are not mounted"
        )
        yield Finding(Mark.WARNING, text)
    if engine["is_remote"] and not engine["address"].startswith("ssh://"):
        text = f"engine: workloads' ports bind to {address} there, open to all who reach that address"
        yield Finding(
            Mark.WARNING, text, "set E2E_PUBLISH_ADDRESS to another one, or reach the engine by ssh://"
        )
    elif not address.startswith("127.") and not engine["is_remote"]:
        yield Finding(Mark.WARNING, f"engine: workloads' ports bind to {address}, not to loopback")
    if engine["is_rootless"]:
        yield Finding(
            Mark.WARNING, "engine: rootless: workloads are probed through their published ports only"
        )
    if engine["program"] != "Docker":
        yield Finding(Mark.WARNING, f"engine: {engine['program']}: what differs is in docs/engines.md")


def check_state(named: str = "") -> Iterator[Finding]:
    """Whether the controller can keep its files; one that is `named` keeps them elsewhere."""
    folder = embedded.Place.default().state
    there = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        remedy = "set E2E_STATE_DIR (or --state-dir of the controller) to a folder where you may write"
        mark, needed = (Mark.WARNING, ", which is not needed with a controller") if named else (Mark.BAD, "")
        yield Finding(mark, f"state folder {folder}{needed}: {error.strerror or error}", remedy)
        return
    yield _space(f"state folder {folder}, writable", shutil.disk_usage(there).free)


def check_inotify(folder: Path = _INOTIFY) -> Iterator[Finding]:
    """Whether the kernel tells of changed files; without, they are found by looking."""
    for name, few in _FEW.items():
        try:
            limit = int((folder / name).read_text())
        except (OSError, ValueError):
            continue
        remedy = "" if limit >= few else f"as root: sysctl fs.inotify.{name}={few * 8}"
        yield Finding(Mark.WARNING if remedy else Mark.GOOD, f"inotify: {name} is {limit}", remedy)


def check_cgroups() -> Iterator[Finding]:
    """Whether processes that were killed left cgroups."""
    for left in find_leftovers():
        yield Finding(Mark.WARNING, f"cgroup {left.path} is left of a process that is gone", "e2e gc")


def check_controller(address: str | Controller | None, *, engine_answers: bool) -> Iterator[Finding]:
    """Whether a controller serves; the embedded one is started for that."""
    named = named_controller(address)
    if not named and not engine_answers:
        yield Finding(Mark.WARNING, "controller: not tried, as it needs the engine")
        return
    try:
        with Client.connect(address) as client:
            client.list_environments()
            kind = "embedded" if client.target.embedded else "as named"
            yield Finding(Mark.GOOD, f"controller: {client.target.address} serves ({kind})")
    except E2EError as error:
        remedy = "start it with `e2e controller --listen ...`, or name another one" if named else ""
        yield Finding(Mark.BAD, f"controller: {error}", remedy)


def wanted_images(given: Iterable[Given]) -> dict[str, bool]:
    """The images that these manifests name or build on; False for one that may not be pulled."""
    images: dict[str, bool] = {}
    for found in given:
        spec = found.manifest.spec
        if isinstance(spec, ContainerFields) and spec.image is not None:
            images[spec.image] = images.get(spec.image, True) and spec.image_pull_policy != "Never"
        if isinstance(spec, ContainerFields) and spec.build is not None:
            for base in _bases(Path(spec.build.context, spec.build.dockerfile)):
                images.setdefault(base, True)
    return images


def _bases(dockerfile: Path) -> Iterator[str]:
    """What a build begins with, its own stages and what depends on arguments aside."""
    try:
        text = dockerfile.read_text(errors="replace")
    except OSError:
        return
    stages = {"scratch"}
    for base, stage in _FROM.findall(text):
        if base.lower() not in stages and "$" not in base:
            yield base
        stages.add(stage.lower())


def check_images(wanted: Mapping[str, bool], answer: Mapping[str, Any]) -> Iterator[Finding]:
    """Whether the images are there, or can be had."""
    for reference, pulled in wanted.items():
        found = answer.get("images", {}).get(reference)
        if found is None:
            yield Finding(Mark.WARNING, f"image {reference}: not looked for, as the engine does not answer")
        elif found["present"]:
            yield Finding(Mark.GOOD, f"image {reference}: present")
        elif not pulled:
            yield Finding(Mark.BAD, f"image {reference}: not there, and its manifest forbids to pull it")
        elif found["refusal"]:
            yield Finding(
                Mark.BAD, f"image {reference}: not there; {found['refusal']}", how_to_get(reference)
            )
        else:
            source = found.get("source", reference)
            where = "its registry has it" if source == reference else f"the mirror has it, as {source}"
            yield Finding(Mark.WARNING, f"image {reference}: not there yet; {where}")


def how_to_get(reference: str, recipes: Path = _RECIPES) -> str:
    """How to come by an image that its registry does not give."""
    ways = f"`docker pull {reference}` where its registry answers, `docker load`, or `docker build`"
    for recipe in sorted(recipes.glob("*/recipe.toml")):
        try:
            known = tomllib.loads(recipe.read_text()).get("reference", "")
        except (OSError, ValueError):
            continue
        if known and known.removeprefix(_DOCKER_HUB) == reference.removeprefix(_DOCKER_HUB):
            return f"`make images` builds it from {recipe.parent}; or {ways}"
    return f"{ways}; E2E_IMAGE_MIRROR names a registry to pull from instead"


def check_builds(given: Iterable[Given]) -> Iterator[Finding]:
    """Whether what the manifests build from is there."""
    for found in given:
        build = getattr(found.manifest.spec, "build", None)
        if build is None:
            continue
        dockerfile = Path(build.context, build.dockerfile)
        what = f"build of {found.key.name} from {dockerfile}"
        if dockerfile.is_file():
            yield Finding(Mark.GOOD, f"{what}: present")
        else:
            remedy = f"make the file, or correct build.context and build.dockerfile in {found.place}"
            yield Finding(Mark.BAD, f"{what}: there is no such file", remedy)


def _space(what: str, free: int) -> Finding:
    text = f"{what}: {free / _GIGABYTE:.1f} GB free"
    if free < _NO_SPACE:
        return Finding(Mark.BAD, text, "free some disk space")
    return Finding(Mark.WARNING if free < _LITTLE_SPACE else Mark.GOOD, text)
