"""Where secrets may be read from, and every way to read others that was thought of."""

import os
from pathlib import Path

import pytest

from e2e_api.manifests import Secret
from e2e_controller.objects import Source
from e2e_controller.secret_sources import LONGEST, SecretSources, load_key

KEY = b"k" * 32


@pytest.fixture
def allowed(tmp_path: Path) -> Path:
    folder = tmp_path / "allowed"
    (folder / "deep").mkdir(parents=True)
    (folder / "db").write_text("geheim")
    (folder / "deep" / "db").write_text("deeper")
    (tmp_path / "outside").write_text("not yours")
    (tmp_path / "allowed-too").mkdir()
    (tmp_path / "allowed-too" / "db").write_text("not yours")
    return folder


def read(folder: Path | None, file: str, source: Source | None = None, watched: tuple[Path, ...] = ()) -> str:
    """The text, or the reason and why it cannot be had."""
    secret = Secret(file=file)
    found = SecretSources(KEY, folder, watched, {}).read([secret], source)
    return f"{found.reason}: {found.problem}" if found.problem else found.value(secret).decode()


def test_files_below_the_folder(allowed: Path) -> None:
    assert read(allowed, "db") == "geheim"
    assert read(allowed, "./deep/../deep/db") == "deeper"
    assert read(allowed, f"{allowed}/db") == "geheim"


def test_links_that_stay_below_it_as_mounted_secrets_have_them(allowed: Path) -> None:
    (allowed / "..data").symlink_to("deep")
    (allowed / "link").symlink_to("..data/db")
    assert read(allowed, "link") == "deeper"
    (allowed.parent / "linked").symlink_to(allowed)
    assert read(allowed.parent / "linked", "db") == "geheim"


@pytest.mark.parametrize(
    "file", ["../outside", "{parent}/outside", "/etc/shadow", "deep/../../outside", "../allowed-too/db"]
)
def test_nothing_elsewhere_is_even_looked_at(allowed: Path, file: str) -> None:
    told = read(allowed, file.format(parent=allowed.parent))
    assert told.startswith("SecretDenied: ")
    absent = read(allowed, file.format(parent=allowed.parent) + "-absent")
    assert absent.replace("-absent", "") == told


def test_links_that_lead_out(allowed: Path) -> None:
    (allowed / "file").symlink_to("../outside")
    (allowed / "folder").symlink_to("..")
    (allowed / "self").symlink_to("/proc/self/root")
    (allowed / "gone").symlink_to("../absent")
    for file in ("file", "folder/outside", "folder", f"self{allowed.parent}/outside", "gone"):
        assert read(allowed, file).startswith("SecretDenied: "), file


def test_links_in_a_circle_and_what_is_no_path(allowed: Path) -> None:
    (allowed / "a").symlink_to("b")
    (allowed / "b").symlink_to("a")
    for file in ("a", "a/x"):
        assert read(allowed, file).startswith("SecretNotFound: "), file
    assert read(allowed, "\ud800") == "SecretDenied: '\\ud800' can be no path"
    assert read(allowed, "x" * 5000).startswith("SecretNotFound: cannot read")


def test_a_folder_that_is_swapped_for_a_link_after_the_look(
    allowed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = os.path.realpath

    def swap(path: Path) -> str:
        real = looked(path)
        if path.name == "outside":
            (allowed / "deep" / "db").unlink()
            (allowed / "deep").rmdir()
            (allowed / "deep").symlink_to("..")
        return real

    (allowed / "deep" / "outside").write_text("mine")
    assert read(allowed, "deep/outside") == "mine"
    (allowed / "deep" / "outside").unlink()
    monkeypatch.setattr("os.path.realpath", swap)
    assert read(allowed, "deep/outside").startswith("SecretNotFound: ")


def test_what_is_no_file_or_too_large(allowed: Path) -> None:
    os.mkfifo(allowed / "pipe")
    (allowed / "large").write_bytes(b"x" * (LONGEST + 1))
    (allowed / "just").write_bytes(b"x" * LONGEST)
    assert read(allowed, "pipe") == "SecretDenied: pipe is no regular file"
    assert read(allowed, "deep") == "SecretDenied: deep is no regular file"
    assert read(allowed, ".") == "SecretDenied: . is no regular file"
    assert read(allowed, "large").startswith("SecretDenied: large has more than")
    assert len(read(allowed, "just")) == LONGEST
    assert read(allowed, "none") == f"SecretNotFound: there is no file {allowed}/none"
    assert read(allowed, "db/none") == f"SecretNotFound: there is no file {allowed}/db/none"


def test_files_beside_manifests(allowed: Path) -> None:
    """Relative to the manifest, below the folder that is watched; what was applied has no such place."""
    watched = allowed.parent
    by_user, applied = Source(f"{allowed}/web.yaml"), Source(f"{allowed}/web.json", managed=True)
    assert read(None, "../outside", by_user, (watched,)) == "not yours"
    assert read(None, "db", by_user, (allowed,)) == "geheim"
    assert read(None, "../outside", by_user, (allowed,)).startswith("SecretDenied: ")
    assert read(allowed / "deep", f"{allowed}/deep/db", by_user, ()) == "deeper"
    assert read(None, "db", applied, (allowed,)).startswith("SecretDenied: ")
    assert read(None, f"{allowed}/db", None, (allowed,)).startswith("SecretDenied: ")


def test_digests_need_the_key(allowed: Path) -> None:
    secret = Secret(value="geheim")
    one, other = (SecretSources(key, None, (), {}).read([secret], None) for key in (KEY, b"o" * 32))
    assert one.digest(secret) != other.digest(secret)
    assert "geheim" not in repr(one)


def test_the_key_is_kept_and_nobody_elses_to_read(tmp_path: Path) -> None:
    path = tmp_path / "secret-key"
    key = load_key(path)
    assert load_key(path) == key
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_bytes(b"torn")
    assert load_key(path) != key
    assert path.stat().st_mode & 0o777 == 0o600
