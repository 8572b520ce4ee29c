"""Make one image reference present in the engine: it is there, or it is pulled, or it is built here."""

import json
import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import docker
import requests
from docker.errors import APIError, DockerException, ImageNotFound

from setup import go_programs, recipes, rootfs
from setup.endpoint import Endpoint
from setup.locks import cache_folder, exclusive
from setup.recipes import Recipe, RecipeError, Reference

RECIPE_LABEL = "io.e2e.recipe"
VERSION_LABEL = "org.opencontainers.image.version"
TITLE_LABEL = "org.opencontainers.image.title"
REGISTRY_TIMEOUT = 5
SILENCE_TIMEOUT = 600  # a large image is loaded without a word
PULL_TIMEOUT = 900
BUILD_LOCK_TIMEOUT = 3000
PROGRESS_SECONDS = 10
# How the engine passes on what a registry said; any other error means that none was reached.
REGISTRY_ANSWERS = {401, 403, 404, 429}


class ImageError(Exception):
    """The image can be neither pulled nor built; the message says why for both."""


class Engine:
    """The engine's images, through docker-py."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.client = _connect(endpoint, SILENCE_TIMEOUT)
        # Its version is known: to ask the engine for it again would be impatient with a busy engine.
        self._impatient = _connect(endpoint, REGISTRY_TIMEOUT, self.client.api.api_version)
        self._verdicts: dict[str, str] = {}

    def labels(self, reference: Reference) -> Mapping[str, str] | None:
        """Return the labels of the image, or None if the engine does not have it."""
        try:
            return self.client.images.get(str(reference)).labels
        except ImageNotFound:
            return None

    def why_no_pull(self, reference: Reference) -> str:
        """Return why the reference's registry cannot be asked, or "" if it answers; asked once a registry.

        The engine is asked to ask: its network, proxies and mirrors count, not this process's.
        """
        if reference.registry not in self._verdicts:
            self._verdicts[reference.registry] = self._ask_registry(reference)
        return self._verdicts[reference.registry]

    def _ask_registry(self, reference: Reference) -> str:
        try:
            self._impatient.images.get_registry_data(str(reference))
        except requests.exceptions.Timeout:
            return f"no answer from {reference.registry} within {REGISTRY_TIMEOUT} s"
        except APIError as error:
            return "" if error.status_code in REGISTRY_ANSWERS else "no registry answers"
        return ""

    def pull(self, reference: Reference) -> None:
        """Pull the image, saying now and then how far it is."""
        deadline = time.monotonic() + PULL_TIMEOUT
        said = time.monotonic()
        layers: dict[str, str] = {}
        for event in self.client.api.pull(reference.name, reference.tag, stream=True, decode=True):
            if "error" in event:
                raise ImageError(str(event["error"]))
            if time.monotonic() > deadline:
                raise ImageError(f"the pull did not end within {PULL_TIMEOUT} s")
            if "id" in event:
                layers[event["id"]] = event.get("status", "")
            if time.monotonic() - said > PROGRESS_SECONDS:
                said = time.monotonic()
                done = sum(status in {"Pull complete", "Already exists"} for status in layers.values())
                print(f"pulling {reference}: {done} of {len(layers)} layers", flush=True)

    def load(self, recipe: Recipe, archive: Path, labels: Mapping[str, str]) -> None:
        """Make the recipe's image of a root file system, and drop the image that it replaces."""
        reference = recipe.reference
        replaced = self._built_image(reference)
        self.client.api.import_image(
            str(archive), repository=reference.name, tag=reference.tag, changes=_instructions(recipe, labels)
        )
        if replaced:
            # In use by a container, or tagged otherwise: then it stays.
            with suppress(APIError):
                self.client.images.remove(replaced)

    def _built_image(self, reference: Reference) -> str | None:
        built = RECIPE_LABEL in (self.labels(reference) or {})
        return self.client.images.get(str(reference)).id if built else None


def make_present(engine: Engine, reference: Reference) -> str:
    """Make sure that the engine has the image; return how, in words."""
    recipe = recipes.find(reference)
    if is_current(engine, reference, recipe):
        return "present"
    lock = cache_folder() / "images" / f"{re.sub('[^a-z0-9.]+', '-', str(reference).lower())}.lock"
    with exclusive(lock, BUILD_LOCK_TIMEOUT):
        if is_current(engine, reference, recipe):
            return "present"
        started = time.monotonic()
        done = _pull_or_build(engine, reference, recipe)
        return f"{done} in {time.monotonic() - started:.0f} s"


def is_current(engine: Engine, reference: Reference, recipe: Recipe | None) -> bool:
    """Whether the engine has the image, and not one that was built here from another recipe than today's."""
    labels = engine.labels(reference)
    if labels is None:
        return False
    return recipe is None or labels.get(RECIPE_LABEL, recipe.digest) == recipe.digest


def _pull_or_build(engine: Engine, reference: Reference, recipe: Recipe | None) -> str:
    why_not = engine.why_no_pull(reference)
    if not why_not:
        print(f"pulling {reference}", flush=True)
        try:
            engine.pull(reference)
        except (DockerException, ImageError, requests.exceptions.RequestException) as error:
            why_not = f"the pull failed: {getattr(error, 'explanation', None) or error}"
        else:
            return "pulled"
    if recipe is None:
        raise ImageError(f"{why_not}; and no recipe in {recipes.FOLDER.name}/ builds it")
    print(f"building {reference} from {recipe.folder.name}/: {why_not}", flush=True)
    return f"built from {_build(engine, recipe)} ({why_not})"


def _build(engine: Engine, recipe: Recipe) -> str:
    with tempfile.TemporaryDirectory(prefix="e2e-image-") as name:
        work = Path(name)
        root, downloads, module = (work / part for part in ("rootfs", "packages", "module"))
        for folder in (root, downloads, module):
            folder.mkdir()
        versions = rootfs.unpack([rootfs.SHELL, *recipe.packages], root, downloads)
        if recipe.go:
            program = root / "bin" / recipe.go.package.rpartition("/")[2]
            go_programs.build(recipe.go, program, module, recipe.folder)
        _complete(recipe, root)
        rootfs.pack(root, work / "rootfs.tar", recipe.owners)
        version, source = _origin(recipe, versions)
        labels = {RECIPE_LABEL: recipe.digest, VERSION_LABEL: version, TITLE_LABEL: source}
        engine.load(recipe, work / "rootfs.tar", labels)
    return source


def _complete(recipe: Recipe, root: Path) -> None:
    rootfs.link_applets(root)
    rootfs.lay_over(recipes.BASE, root)
    rootfs.lay_over(recipe.folder / "rootfs", root)
    rootfs.finish(recipe.folder / "finish.sh", root)


def _origin(recipe: Recipe, versions: Mapping[str, str]) -> tuple[str, str]:
    """Return the program's real version, and where it is from in words."""
    if recipe.go:
        return recipe.go.version.removeprefix("v"), f"the Go module {recipe.go.module} {recipe.go.version}"
    if recipe.version_of not in versions:
        raise RecipeError(f"{recipe.folder}: `version_of` is {recipe.version_of}, not one of its packages")
    # Debian's 1:2.42.0+ds-5+deb12u1 is upstream's 2.42.0.
    version = re.sub(r"^\d+:|[+~-].*$", "", versions[recipe.version_of])
    return version, f"Debian's {recipe.version_of} {version}"


def _instructions(recipe: Recipe, labels: Mapping[str, str]) -> list[str]:
    config = recipe.config
    quoted = [(name, value.replace('"', '\\"')) for name, value in labels.items()]
    lines = [f'LABEL {name}="{value}"' for name, value in quoted]
    lines += [f'ENV {name}="{value}"' for name, value in config.environment.items()]
    lines += [f"EXPOSE {port}" for port in config.expose]
    lines += [f"WORKDIR {config.workdir}"]
    lines += [f"USER {config.user}"] if config.user else []
    lines += [f"ENTRYPOINT {_exec_form(config.entrypoint)}"] if config.entrypoint else []
    lines += [f"CMD {_exec_form(config.command)}"] if config.command else []
    return lines


def _exec_form(words: Sequence[str]) -> str:
    return json.dumps(list(words))


def _connect(endpoint: Endpoint, timeout: int, version: str = "auto") -> docker.DockerClient:
    tls: docker.tls.TLSConfig | bool = False
    if files := endpoint.tls:
        tls = docker.tls.TLSConfig(
            client_cert=files.client_files, ca_cert=files.file("ca.pem") or None, verify=files.verify
        )
    return docker.DockerClient(base_url=endpoint.host, tls=tls, version=version, timeout=timeout)
