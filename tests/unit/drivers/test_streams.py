"""What the engine streams: frames, progress; and names of images."""

import struct
from collections.abc import Mapping
from typing import Any

import pytest

from e2e_controller.drivers.base import Output
from e2e_controller.drivers.docker.frames import outputs
from e2e_controller.drivers.docker.images import pull_failed
from e2e_controller.drivers.docker.progress import BuildLines, PullLines, error_of
from e2e_controller.drivers.docker.registry import registry_of, split_reference
from e2e_controller.drivers.docker.trees import likely_images


class Pieces:
    """A stream that gives at most so many bytes at a time."""

    def __init__(self, data: bytes, step: int) -> None:
        self._data, self._step = data, step

    async def read(self, n: int = -1, /) -> bytes:
        size = min(n, self._step)
        data, self._data = self._data[:size], self._data[size:]
        return data


def frame(kind: int, data: bytes) -> bytes:
    return struct.pack(">BxxxL", kind, len(data)) + data


@pytest.mark.parametrize("step", [1, 3, 8, 1000])
async def test_frames(step: int) -> None:
    data = frame(1, b"out") + frame(2, b"err") + frame(1, b"") + frame(1, b"\x00\xff")
    found: dict[str, bytes] = {"stdout": b"", "stderr": b""}
    async for piece in outputs(Pieces(data, step)):
        found[piece.stream] += piece.data
    assert found == {"stdout": b"out\x00\xff", "stderr": b"err"}


@pytest.mark.parametrize("cut", [1, 7, 8, 10])
async def test_frames_that_break_off(cut: int) -> None:
    found = [piece async for piece in outputs(Pieces(frame(1, b"out")[:cut], 1000))]
    assert found == ([Output("stdout", b"ou")] if cut == 10 else [])


async def test_large_frames_come_in_pieces() -> None:
    sizes = [len(piece.data) async for piece in outputs(Pieces(frame(1, bytes(200_000)), 10**6))]
    assert sum(sizes) == 200_000
    assert max(sizes) <= 64 * 1024


def test_lines_of_a_pull() -> None:
    lines = PullLines()
    documents: list[Mapping[str, Any]] = [
        {"status": "Pulling from library/x", "id": "1"},
        {"status": "Pulling fs layer", "id": "a", "progressDetail": {}},
        {"status": "Already exists", "id": "b", "progressDetail": {}},
        {"status": "Downloading", "id": "a", "progressDetail": {"current": 42, "total": 100}},
        {"status": "Downloading", "id": "a", "progressDetail": {"current": 42, "total": 100}},
        {"status": "Download complete", "id": "a"},
        {"status": "Pull complete", "id": "a"},
        {"status": "Digest: sha256:x"},
    ]
    assert [lines.add(document) for document in documents] == [
        "",
        "pulling (0 of 1 layers)",
        "pulling (1 of 2 layers)",
        "pulling 42% (1 of 2 layers)",
        "",
        "pulling 100% (1 of 2 layers)",
        "pulling 100% (2 of 2 layers)",
        "",
    ]


def test_lines_of_a_build() -> None:
    lines = BuildLines()
    assert lines.add({"stream": "Step 1/2 : FROM x\n"}) == "building: Step 1/2 : FROM x"
    assert lines.add({"stream": "\n"}) == ""
    assert lines.add({"aux": {"ID": "x"}}) == ""
    for number in range(30):
        lines.add({"stream": f"line {number}\n" + "x" * 1000})
    assert len(lines.tail.splitlines()) == 20
    assert max(map(len, lines.tail.splitlines())) == 200


def test_a_long_reason_is_cut_to_its_end() -> None:
    assert error_of({"error": "no space left"}) == "no space left"
    text = error_of({"error": "x" * 100_000 + "exit code 3"})
    assert text.endswith("exit code 3")
    assert text.startswith("... x")
    assert len(text) < 2_100
    assert error_of({"stream": "Step 1"}) == ""


@pytest.mark.parametrize(
    ("reference", "parts", "registry"),
    [
        ("busybox", ("busybox", "latest"), "docker.io"),
        ("busybox:1", ("busybox", "1"), "docker.io"),
        ("quay.io/a/b:1", ("quay.io/a/b", "1"), "quay.io"),
        ("localhost:5000/a", ("localhost:5000/a", "latest"), "localhost:5000"),
        ("a@sha256:0", ("a", "sha256:0"), "docker.io"),
    ],
)
def test_references(reference: str, parts: tuple[str, str], registry: str) -> None:
    assert split_reference(reference) == parts
    assert registry_of(reference) == registry


@pytest.mark.parametrize(
    ("message", "retry"),
    [
        ("manifest for x:1 not found: manifest unknown: manifest unknown", False),
        ("pull access denied for x, repository does not exist or may require 'docker login': denied", False),
        ("unauthorized: authentication required", False),
        ("no matching manifest for linux/amd64 in the manifest list entries", False),
        ('failed to resolve reference "docker.io/x:1": docker.io/x:1: not found', False),
        ("dial tcp: lookup registry on 10.0.0.1:53: no such host", True),
        ("net/http: TLS handshake timeout", True),
        ("toomanyrequests: You have reached your pull rate limit", True),
        ("denied", False),
        ("dial unix /run/x.sock: connect: permission denied", True),
        ("received unexpected HTTP status: 503 Service Unavailable", True),
        ("write /var/lib/x: no space left on device", True),
    ],
)
def test_pulls_that_fail(message: str, retry: bool) -> None:
    assert pull_failed("x:1", message).retry is retry


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (
            "toomanyrequests: You have reached your pull rate limit.",
            "rate limit; wait, `docker login` to the registry for a higher limit, or use --image-mirror",
        ),
        ("received unexpected HTTP status: 503 Service Unavailable", "; the registry has a fault of its own"),
        (
            "received unexpected HTTP status: 500 Internal Server Error",
            "; the registry has a fault of its own",
        ),
        (
            "dial tcp 127.0.0.1:5001: connect: connection refused",
            "; see whether the engine reaches the registry",
        ),
    ],
)
def test_what_helps_against_pulls_that_fail(message: str, text: str) -> None:
    assert text in str(pull_failed("x:1", message))


def test_likely_images() -> None:
    images = [
        {"Id": "big", "RepoTags": ["x:1"], "Size": 100},
        {"Id": "small", "RepoTags": None, "Size": 1},
        {"Id": "python", "RepoTags": ["docker.io/library/python:3"], "Size": 1000},
        {"Id": "busybox", "RepoTags": ["x/y:1", "busybox:1"], "Size": 2},
        {"Id": "by its name only", "RepoTags": ["evil.example/busybox:1"], "Size": 3},
        {"Id": "built", "RepoTags": ["e2e-build/busybox.web:0123456789ab"], "Size": 1},
    ]
    assert likely_images(images) == ["busybox", "python", "small", "by its name only", "big"]
