"""Links: as Kubernetes mounts a ConfigMap, to places outside, to nothing, round in circles."""

from pathlib import Path

import pytest
from source_helpers import OpenSource, Recorder, eventually, manifest


def publish(folder: Path, version: str, files: dict[str, str]) -> None:
    """What the kubelet does: a new hidden folder, a swapped link to it, links to its files."""
    data = folder / f"..2024_{version}"
    data.mkdir()
    for name, text in files.items():
        (data / name).write_text(text)
    old = (folder / "..data").readlink() if (folder / "..data").is_symlink() else None
    (folder / "..data_tmp").symlink_to(data.name)
    (folder / "..data_tmp").rename(folder / "..data")
    for name in files:
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    for path in folder.iterdir():
        if path.is_symlink() and not path.name.startswith("..") and path.name not in files:
            path.unlink()
    if old is not None:
        for path in (folder / old).iterdir():
            path.unlink()
        (folder / old).rmdir()


@pytest.mark.parametrize("events", [True, False])
@pytest.mark.parametrize("below", ["", "env"])
async def test_config_map(
    watched: Path, recorder: Recorder, open_source: OpenSource, events: bool, below: str
) -> None:
    folder = watched / below
    folder.mkdir(exist_ok=True)
    publish(folder, "1", {"a.yaml": manifest("a", "one"), "b.yaml": manifest("b", "one")})
    await open_source(events=events, rescan_interval=3600.0 if events else 0.02)
    a, b, c = (str(Path(below, f"{name}.yaml")) for name in "abc")
    assert recorder.images() == {a: ["one"], b: ["one"]}
    publish(folder, "2", {"a.yaml": manifest("a", "two"), "b.yaml": manifest("b", "one")})
    await eventually(lambda: recorder.images() == {a: ["two"], b: ["one"]})
    publish(folder, "3", {"b.yaml": manifest("b", "three"), "c.yaml": manifest("c", "three")})
    await eventually(lambda: recorder.images() == {b: ["three"], c: ["three"]})
    calls = [f"changed {a}", f"changed {b}", f"changed {a}"]
    assert recorder.calls[:3] == calls
    assert sorted(recorder.calls[3:]) == [f"changed {b}", f"changed {c}", f"gone {a}"]


async def test_a_new_link_to_a_file(
    watched: Path, tmp_path: Path, recorder: Recorder, open_source: OpenSource
) -> None:
    await open_source()
    (tmp_path / "outside").write_text(manifest("a"))
    (watched / "soft.yaml").symlink_to(tmp_path / "outside")
    (watched / "hard.yaml").hardlink_to(tmp_path / "outside")
    await eventually(lambda: recorder.images() == {"soft.yaml": ["busybox"], "hard.yaml": ["busybox"]})
    (watched / "soft.yaml").unlink()
    await eventually(lambda: list(recorder.files) == ["hard.yaml"])
    assert (tmp_path / "outside").exists()


async def test_a_new_link_to_a_folder(
    watched: Path, tmp_path: Path, recorder: Recorder, open_source: OpenSource
) -> None:
    for version in ("v1", "v2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "a.yaml").write_text(manifest("a", version))
    await open_source()
    (watched / "team").symlink_to(tmp_path / "v1")
    await eventually(lambda: recorder.images() == {"team/a.yaml": ["v1"]})
    (tmp_path / "v1" / "b.yaml").write_text(manifest("b", "new"))  # what is linked to is watched
    await eventually(lambda: "team/b.yaml" in recorder.files)
    (tmp_path / "next").symlink_to(tmp_path / "v2")
    (tmp_path / "next").rename(watched / "team")
    await eventually(lambda: recorder.images() == {"team/a.yaml": ["v2"]})


async def test_the_root_is_a_link_that_is_swapped(
    tmp_path: Path, recorder: Recorder, open_source: OpenSource
) -> None:
    for version in ("v1", "v2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "a.yaml").write_text(manifest("a", version))
    (tmp_path / "current").symlink_to("v1")
    await open_source(tmp_path / "current")
    assert recorder.files["a.yaml"].path == str(tmp_path / "current" / "a.yaml")
    for version in ("v2", "v1"):
        (tmp_path / "next").symlink_to(version)
        (tmp_path / "next").rename(tmp_path / "current")
        await eventually(lambda version=version: recorder.images() == {"a.yaml": [version]})
    # `ln -sfn` removes the link before it makes the new one.
    (tmp_path / "current").unlink()
    (tmp_path / "current").symlink_to("v2")
    await eventually(lambda: recorder.images() == {"a.yaml": ["v2"]})
    (tmp_path / "v2" / "a.yaml").write_text(manifest("a", "again"))
    await eventually(lambda: recorder.images() == {"a.yaml": ["again"]})
    assert set(recorder.calls) == {"changed a.yaml"}


async def test_circles(watched: Path, recorder: Recorder, open_source: OpenSource) -> None:
    (watched / "x").mkdir()
    (watched / "x" / "a.yaml").write_text(manifest("a"))
    (watched / "x" / "up").symlink_to("..")
    (watched / "x" / "here").symlink_to(".")
    (watched / "round.yaml").symlink_to("round.yaml")
    source = await open_source()
    await source.sync()
    assert recorder.images() == {"x/a.yaml": ["busybox"], "round.yaml": ["ReadError"]}


async def test_a_folder_that_gets_a_second_name(
    watched: Path, recorder: Recorder, open_source: OpenSource
) -> None:
    """Its files keep one path each, else each object would conflict with itself."""
    (watched / "old").mkdir()
    (watched / "old" / "a.yaml").write_text(manifest("a"))
    source = await open_source()
    (watched / "old").rename(watched / "new")
    (watched / "old").symlink_to("new")
    await source.sync()
    assert list(recorder.files) == ["new/a.yaml"]
