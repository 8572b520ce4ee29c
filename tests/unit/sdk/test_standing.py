"""What the SDK tells of where this process runs."""

from pathlib import Path

from e2e import standing
from e2e_api.callers import CallerPlace, read_caller

ID = "a1" * 32


def test_on_a_host(tmp_path: Path) -> None:
    assert standing.place_below(tmp_path) == CallerPlace()


def test_in_a_container(tmp_path: Path) -> None:
    process = tmp_path / "proc/self"
    process.mkdir(parents=True)
    (process / "cgroup").write_text(f"0::/system.slice/docker-{ID}.scope\n")
    place = standing.place_below(tmp_path)
    assert (place.in_container, place.ids[0]) == (True, ID)


def test_in_a_container_that_tells_no_id(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/.containerenv").touch()
    assert standing.place_below(tmp_path).in_container


def test_each_call_tells_it() -> None:
    told = dict(standing.caller_metadata())
    assert read_caller(told.pop("e2e-caller")) == standing.own_place()
    assert told == {"e2e-deadline-margin": "5"}
