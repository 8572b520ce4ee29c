from typing import Any

import docker.errors

from benchmarks.peers.line_up import remove_named


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
