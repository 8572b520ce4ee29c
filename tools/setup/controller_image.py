"""The controller's image, built from this checkout, of wheels fetched here: the build needs no network."""

import gzip
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from docker.errors import APIError, BuildError, ImageNotFound

from setup.images import RECIPE_LABEL, Engine, ImageError, make_present
from setup.locks import cache_folder, exclusive
from setup.recipes import Reference
from setup.tries import patiently

ROOT = Path(__file__).resolve().parents[2]
BASE = "docker.io/library/python:3.11-slim"
NAME = "e2e-controller"
STAGE_LABEL = "io.e2e.stage"
BUILD_TIMEOUT = 1200
# What the Dockerfile copies; .dockerignore lets no more through.
SOURCES = (
    "Dockerfile",
    "image",
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "proto",
    "controller",
    "sdk",
    "e2edb",
)


def digest(base: str = BASE) -> str:
    """Identifies what the image is made of."""
    content = hashlib.sha256(base.encode())
    for path in _sources():
        content.update(f"\0{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return content.hexdigest()[:16]


def reference(base: str = BASE) -> str:
    """The tag that only this content has, so that two checkouts never run each other's."""
    return f"{NAME}:{digest(base)}"


def build(engine: Engine, base: str = BASE, tags: tuple[str, ...] = (f"{NAME}:dev",)) -> str:
    """Makes the image present under its own tag and `tags`; gives the former. Raises `ImageError`."""
    own = reference(base)
    with exclusive(cache_folder() / "images" / "controller.lock", BUILD_TIMEOUT):
        if not _is_present(engine, own):
            make_present(engine, Reference.parse(base))
            try:
                _build(engine, base, own)
            finally:
                _remove_first_stage(engine)
        image = engine.client.images.get(own)
        for tag in tags:
            image.tag(tag)
        _forget_previous(engine, own)
    return own


def wheels() -> Path:
    """A folder with all wheels of the image's locks, for the Python and the machine that this runs on."""
    locks = [ROOT / "image" / f"{name}.lock" for name in ("build", "runtime")]
    key = hashlib.sha256(sys.version.encode() + b"".join(lock.read_bytes() for lock in locks)).hexdigest()[
        :16
    ]
    folder = ROOT / ".cache" / "wheels" / key
    if (folder / ".complete").exists():
        return folder
    shutil.rmtree(folder.parent, ignore_errors=True)  # those of another lock, or of a download that broke off
    command = [
        sys.executable,
        "-m",
        "pip",
        "--quiet",
        "--no-input",
        "--disable-pip-version-check",
        "download",
    ]
    command += ["--require-hashes", "--only-binary", ":all:", "--dest", str(folder)]

    def download(lock: Path) -> None:
        finished = subprocess.run([*command, "--requirement", str(lock)], timeout=BUILD_TIMEOUT)
        if finished.returncode:
            raise ImageError(f"the wheels of {lock.name} cannot be had")

    for lock in locks:
        patiently(lambda lock=lock: download(lock), ImageError)  # type: ignore[misc]
    (folder / ".complete").touch()
    return folder


def _is_present(engine: Engine, tag: str) -> bool:
    with suppress(ImageNotFound):
        engine.client.images.get(tag)
        return True
    return False


def _build(engine: Engine, base: str, tag: str) -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        version = tomllib.load(file)["project"]["version"]
    epoch = _git("log", "-1", "--format=%ct") or "0"
    arguments = {
        "BASE": base,
        "VERSION": version,
        "REVISION": _git("rev-parse", "HEAD"),
        "CREATED": _git("log", "-1", "--format=%cd", "--date=format:%Y-%m-%dT%H:%M:%SZ")
        or "1970-01-01T00:00:00Z",
    }
    try:
        engine.client.images.build(
            fileobj=_context(),
            custom_context=True,
            encoding="gzip",
            tag=tag,
            rm=True,
            forcerm=True,
            buildargs={**arguments, "SOURCE_DATE_EPOCH": epoch},
            labels={RECIPE_LABEL: tag.partition(":")[2]},
            timeout=BUILD_TIMEOUT,
        )
    except BuildError as error:
        said = "".join(str(line.get("stream", "")) for line in error.build_log).splitlines()[-20:]
        raise ImageError("\n".join([f"the build failed: {error}", *said])) from error


def _remove_first_stage(engine: Engine) -> None:
    """Older engines keep it, without a name."""
    for image in engine.client.images.list(filters={"dangling": True, "label": STAGE_LABEL}):
        with suppress(APIError):
            engine.client.images.remove(str(image.id))


def _context() -> io.BytesIO:
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as archive,
    ):
        for path in _sources():
            archive.add(path, str(path.relative_to(ROOT)))
        for wheel in sorted(wheels().glob("*.whl")):
            archive.add(wheel, f"wheels/{wheel.name}")
    packed.seek(0)
    return packed


def _sources() -> Iterator[Path]:
    for name in SOURCES:
        root = ROOT / name
        yield from (
            [root]
            if root.is_file()
            else sorted(path for path in root.rglob("*") if path.is_file() and path.suffix != ".pyc")
        )


def _forget_previous(engine: Engine, tag: str) -> None:
    """Drops the image that this checkout made last; where it is in use or tagged otherwise, it stays."""
    note = ROOT / ".cache" / "controller-image"
    if note.exists() and (previous := note.read_text().strip()) != tag:
        with suppress(APIError):
            engine.client.images.remove(previous)
    note.write_text(tag)


def _git(*arguments: str) -> str:
    try:
        command = ["git", "-C", str(ROOT), *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=60, env={**os.environ, "TZ": "UTC"}
        )
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
