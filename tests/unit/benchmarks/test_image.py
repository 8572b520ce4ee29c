"""The scenario of the controller's image, on an engine that is none."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker.errors
import pytest

from benchmarks.options import Options
from benchmarks.scenarios import image

MB = 1_000_000


class FakeEngine:
    """Has the image and its base, or nothing; a container of it says `log`."""

    def __init__(self, sizes: dict[str, int], log: bytes = b"... serving gRPC on ...\n") -> None:
        self.sizes, self.log = sizes, log
        self.left: list[str] = []

    def inspect_image(self, name: str) -> dict[str, Any]:
        if name not in self.sizes:
            raise docker.errors.ImageNotFound(name)
        return {"Size": self.sizes[name], "Config": {"Labels": {image.BASE_LABEL: "base"}}}

    def create_host_config(self, **options: Any) -> dict[str, Any]:
        return options

    def create_container(self, _: str, *, name: str, **__: Any) -> dict[str, str]:
        self.left.append(name)
        return {"Id": name}

    def start(self, container: str) -> None:
        assert container in self.left

    def wait(self, *_: Any, **__: Any) -> None:
        pass

    def logs(self, *_: Any, **__: Any) -> Iterator[bytes]:
        yield from (self.log[:8], self.log[8:])

    def remove_container(self, container: str, **_: Any) -> None:
        self.left.remove(container)


class FakeBench:
    run = "bench-1"
    options = Options(quick=True)

    def __init__(self, engine: FakeEngine) -> None:
        self.engine = engine

    def say(self, _: str) -> None:
        pass


@pytest.fixture(autouse=True)
def socket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(image, "engine_socket", lambda: tmp_path)


def test_sizes_and_starts() -> None:
    engine: Any = FakeEngine({image.IMAGE: 150 * MB, "base": 60 * MB})
    bench: Any = FakeBench(engine)
    found = image.run(bench)
    assert [line.value for line in found.lines[:2]] == [150, 90]
    assert found.lines[2].floor is not None
    assert {name: len(samples) for name, samples in found.samples.items()} == {"floor_s": 2, "serving_s": 2}
    assert engine.left == []


def test_without_the_image_it_is_left_out() -> None:
    bench: Any = FakeBench(FakeEngine({}))
    assert image.run(bench).lines == []


def test_one_that_ends_before_it_serves_is_no_start() -> None:
    engine: Any = FakeEngine({image.IMAGE: 150 * MB}, log=b"no engine answers\n")
    bench: Any = FakeBench(engine)
    with pytest.raises(RuntimeError, match="before it served: no engine answers"):
        image.run(bench)
    assert engine.left == []
