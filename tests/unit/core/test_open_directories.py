"""Directories that containers write to: they may put links where the next one is to be."""

from pathlib import Path
from typing import Any

import pytest

from e2e_controller.drivers.base import DriverError
from e2e_controller.reconcile.execute import make_open_directory


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def test_anybody_may_write(tmp_path: Path) -> None:
    for _ in range(2):
        make_open_directory(tmp_path / "env" / "web")
        assert mode(tmp_path / "env" / "web") == 0o777


def test_a_link_to_nowhere_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "web").symlink_to("absent")
    with pytest.raises(DriverError, match="cannot make directory"):
        make_open_directory(tmp_path / "web")
    assert not (tmp_path / "absent").exists()


def test_a_link_that_takes_its_place_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o700)
    make = Path.mkdir

    def swapped(self: Path, *arguments: Any, **options: Any) -> None:
        make(self, *arguments, **options)
        self.rmdir()
        self.symlink_to(outside)

    monkeypatch.setattr(Path, "mkdir", swapped)
    with pytest.raises(DriverError, match="cannot make directory"):
        make_open_directory(tmp_path / "web")
    assert mode(outside) == 0o700
