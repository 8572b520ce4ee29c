"""Recipes: how an upstream image reference is built from the real programs where no registry answers.

A recipe is a folder of `tests/images/`; the README there explains what stands in it.
"""

import hashlib
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[2] / "tests" / "images"
BASE = FOLDER / "base"


class RecipeError(Exception):
    """A recipe cannot be read or built; the message names it."""


@dataclass(frozen=True)
class Reference:
    """An image reference with its registry written out, as `docker.io/library/busybox:1.36`."""

    registry: str
    repository: str
    tag: str

    @classmethod
    def parse(cls, text: str) -> "Reference":
        """Read a reference as the docker CLI does: no registry is Docker Hub's, no tag is `latest`."""
        name, tag = text, "latest"
        if ":" in text.rpartition("/")[2]:
            name, _, tag = text.rpartition(":")
        registry, slash, repository = name.partition("/")
        if not slash or not (set(".:") & set(registry) or registry == "localhost"):
            registry, repository = "docker.io", name
        if registry == "docker.io" and "/" not in repository:
            repository = f"library/{repository}"
        if "@" in text or not re.fullmatch(r"[a-z0-9]+([._/-]+[a-z0-9]+)*", repository):
            raise RecipeError(f"{text!r} is not an image reference of the form registry/name:tag")
        return cls(registry, repository, tag)

    @property
    def name(self) -> str:
        """Registry and repository, without the tag."""
        return f"{self.registry}/{self.repository}"

    def __str__(self) -> str:
        return f"{self.name}:{self.tag}"


@dataclass(frozen=True)
class GoProgram:
    """A program of a published Go module, and the module versions that the build has to deviate to."""

    module: str
    version: str
    package: str
    flags: str = ""
    require: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Config:
    """What the image tells the engine about itself, as upstream's does."""

    entrypoint: Sequence[str] = ()
    command: Sequence[str] = ()
    user: str = ""
    workdir: str = "/"
    expose: Sequence[int] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """One image that can be built here."""

    folder: Path
    reference: Reference
    packages: Sequence[str]
    version_of: str
    go: GoProgram | None
    config: Config
    owners: Mapping[str, int]

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    @property
    def digest(self) -> str:
        """Identify the recipe's content: an image built from other content is built anew."""
        content = hashlib.sha256()
        for root in (BASE, self.folder):
            for file in sorted(path for path in root.rglob("*") if path.is_file()):
                content.update(f"{file.relative_to(root)}\0{file.stat().st_size}\0".encode())
                content.update(file.read_bytes())
        return content.hexdigest()[:16]


def all_recipes() -> Iterator[Recipe]:
    """Yield every recipe of the repository, by name."""
    for file in sorted(FOLDER.glob("*/recipe.toml")):
        yield load(file.parent)


def find(reference: Reference) -> Recipe | None:
    """Return the recipe that builds this reference, if there is one."""
    return next((recipe for recipe in all_recipes() if recipe.reference == reference), None)


def load(folder: Path) -> Recipe:
    """Read one recipe."""
    file = folder / "recipe.toml"
    try:
        text: dict[str, Any] = tomllib.loads(file.read_text())
        go = text.pop("go", None)
        recipe = Recipe(
            folder=folder,
            reference=Reference.parse(text.pop("reference")),
            packages=text.pop("packages", []),
            version_of=text.pop("version_of", ""),
            go=GoProgram(**go) if go else None,
            config=Config(**text.pop("config", {})),
            owners=text.pop("owners", {}),
        )
    except (OSError, tomllib.TOMLDecodeError, TypeError, KeyError) as error:
        raise RecipeError(f"{file} is not a recipe: {error}") from error
    if text or bool(recipe.go) == bool(recipe.version_of):
        raise RecipeError(f"{file}: unknown keys {sorted(text)}, or not just one of `version_of` and `[go]`")
    return recipe
