"""What the image is made of, and what is known of it."""

import json
import re
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from audit import judged
from setup.controller_image import SOURCES
from setup.requirements import closure, subset
from setup.sbom import WANTED, document

ROOT = Path(__file__).resolve().parents[2]
LOCK = """\
anyio==4.16.0 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
    # via httpx
idna==3.20 \\
    --hash=sha256:cc
    # via
    #   anyio
    #   requests
pandas==9.9.9 \\
    --hash=sha256:dd
typing-extensions==4.16.0 \\
    --hash=sha256:ee
"""


def test_a_lock_of_a_part_has_all_that_it_needs() -> None:
    part = subset(LOCK, ["anyio"])
    assert part.startswith("anyio==4.16.0 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\nidna==3.20 \\\n")
    assert "pandas" not in part
    assert "#" not in part


def test_what_is_not_locked_is_an_error() -> None:
    with pytest.raises(KeyError, match="click"):
        subset(LOCK, ["anyio", "click"])


def test_extras_are_followed() -> None:
    assert "pyyaml" in closure(["pydantic-settings[yaml]"])
    assert "pyyaml" not in closure(["pydantic-settings"])


@pytest.mark.parametrize("name", ["build", "runtime"])
def test_the_images_locks_are_parts_of_the_lock(name: str) -> None:
    part, whole = ((ROOT / place).read_text() for place in (f"image/{name}.lock", "requirements.lock"))
    entry = re.compile(r"^\S+==\S+|--hash=\S+", re.MULTILINE)
    assert set(entry.findall(part)) <= set(entry.findall(whole))
    assert len(entry.findall(part)) > 10


def test_nothing_of_the_tests_is_in_the_image() -> None:
    runtime = (ROOT / "image" / "runtime.lock").read_text()
    for name in ("pytest", "grpcio-tools", "pandas", "altair", "bandit", "pip", "ruff"):
        assert f"\n{name}==" not in runtime


def test_the_dockerfile_says_what_the_project_does_and_finds_all_that_it_copies() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    text = (ROOT / "Dockerfile").read_text()
    assert f"\nARG VERSION={project['version']}\n" in text
    assert f'image.description="{project["description"]}"' in text
    copied = [
        word for line in re.findall(r"^COPY (?!--)(.*) \S+$", text, re.MULTILINE) for word in line.split()
    ]
    allowed = set((ROOT / ".dockerignore").read_text().splitlines())
    for source in copied:
        top = source.partition("/")[0].replace("[", "").replace("]", "")
        assert f"!{top}" in allowed
        assert top in (*SOURCES, "wheels", "ca-bundle.pem")


FILES = {
    "var/lib/dpkg/status.d/zlib1g": "Package: zlib1g\nSource: zlib\nVersion: 1:1.2.13\nArchitecture: amd64\n",
    "var/lib/dpkg/status": (
        "Package: gone\nStatus: purge ok not-installed\nVersion: 1\nArchitecture: all\n\n"
        "Package: base-files\nStatus: install ok installed\nVersion: 12.4\nArchitecture: amd64\n"
    ),
    "opt/e2e/lib/python3.11/site-packages/a_b-1.0.dist-info/METADATA": (
        "Metadata-Version: 2.4\nName: A_b\nVersion: 1.0\nLicense-Expression: MIT\n\nText: of the page\n"
    ),
}


def test_parts_list() -> None:
    assert all(WANTED.fullmatch(path) for path in FILES)
    about = {"name": "e2e-controller:dev", "identity": "sha256:1", "config": {"PYTHON_VERSION": "3.11.9"}}
    made = datetime(2026, 1, 2, tzinfo=UTC)
    text = document(FILES, created=made, **about)  # type: ignore[arg-type]
    assert text == document(FILES, created=made, **about)  # type: ignore[arg-type]
    parts = json.loads(text)
    assert {part["purl"] for part in parts["components"]} == {
        "pkg:deb/debian/zlib1g@1:1.2.13?arch=amd64&distro=debian",
        "pkg:deb/debian/base-files@12.4?arch=amd64&distro=debian",
        "pkg:generic/python@3.11.9",
        "pkg:pypi/a-b@1.0",
    }
    assert parts["metadata"]["component"]["name"] == "e2e-controller:dev"


SAFE = {"name": "safe", "version": "1", "vulns": []}
WEAK = {"name": "weak", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"]}]}
UNKNOWN = {"name": "unknown", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("packages", "found", "said"),
    [
        ([SAFE], False, "no known weaknesses in 1 packages"),
        ([SAFE, WEAK], True, "weak 2: PYSEC-1, fixed in ['3']"),
        ([SAFE, UNKNOWN], False, "no known weaknesses in 1 packages; not audited: unknown"),
        ([UNKNOWN, UNKNOWN], False, "not audited: the database knows none of them"),
    ],
)
def test_what_could_not_be_asked_is_not_called_safe(
    packages: list[dict[str, object]], found: bool, said: str
) -> None:
    outcome = judged(packages)
    assert outcome.found is found
    assert said in outcome.text
