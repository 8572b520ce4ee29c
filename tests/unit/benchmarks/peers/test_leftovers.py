from types import SimpleNamespace
from typing import Any

import docker.errors
import pytest

from benchmarks.peers import line_up
from benchmarks.peers.line_up import _Sweep, remove_named


class Engine:
    """What an engine would answer; its name filter finds names that hold the text anywhere."""

    def __init__(self) -> None:
        self.removed: list[str] = []

    def containers(self, **_: Any) -> list[dict[str, Any]]:
        names = ("bench-1-go-server-0", "somebodys-bench-1-go", "bench-1-go-gone", "bench-1-go-stuck")
        return [{"Id": name, "Names": [f"/{name}"]} for name in names]

    def networks(self, **_: Any) -> list[dict[str, Any]]:
        return [{"Id": name, "Name": name} for name in ("bench-1-go", "not-bench-1-go")]

    def remove_container(self, container: str, **_: Any) -> None:
        if container.endswith("gone"):
            raise docker.errors.NotFound("no such container")
        if container.endswith("stuck"):
            raise docker.errors.APIError("in use")
        self.removed.append(container)

    def remove_network(self, network: str) -> None:
        self.removed.append(network)


def test_only_what_begins_with_the_name_is_removed() -> None:
    engine = Engine()
    found = remove_named(engine, "bench-1-go")  # type: ignore[arg-type]
    assert engine.removed == ["bench-1-go-server-0", "bench-1-go"]
    assert found == [
        "container bench-1-go-server-0",
        "container bench-1-go-gone",
        "container bench-1-go-stuck, which stays: in use",
        "network bench-1-go",
    ]


@pytest.mark.parametrize(
    ("failure", "found", "looks"),
    [
        (None, [], 1),
        (None, [["a"], []], 3),
        (KeyboardInterrupt, [[], []], 2),
        (KeyboardInterrupt, [["a"], ["b"], []], 4),
        (KeyboardInterrupt, [[], ["made late"], []], 4),
        (None, [["stays"]] * 99, 10),
    ],
)
def test_what_the_engine_makes_late_is_removed_too(
    monkeypatch: pytest.MonkeyPatch,
    failure: type[BaseException] | None,
    found: list[list[str]],
    looks: int,
) -> None:
    answers = iter([*found, []])
    seen: list[list[str]] = []

    def remove(*_: object) -> list[str]:
        seen.append(next(answers))
        return seen[-1]

    monkeypatch.setattr(line_up, "remove_named", remove)
    monkeypatch.setattr(line_up.time, "sleep", lambda _: None)
    said: list[str] = []
    bench: Any = SimpleNamespace(engine=None, say=said.append)
    _Sweep(bench, "bench-1-go")(failure)
    assert len(seen) == looks
    assert len(said) == sum(map(len, seen))
