"""Who has a state folder, and whether it lives."""

import errno
import os
import re
import shutil
from functools import partial
from pathlib import Path

import pytest

from e2e_controller.drivers.inventory import Owner
from e2e_controller.state_folder import (
    OwnerState,
    StateFolderError,
    StateFolderInUse,
    StateLock,
    host_identity,
    owner_state,
    read_controller_id,
    write_controller_id,
)

HOST = "machine"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def owner(state: Path) -> Owner:
    return Owner("me", str(state), HOST)


def test_one_that_runs(state: Path, owner: Owner) -> None:
    with StateLock(state):
        assert owner_state(owner, HOST) is OwnerState.LIVE  # its id is not written yet
        write_controller_id(state, "me")
        assert owner_state(owner, HOST) is OwnerState.LIVE


def looks(folder: Path) -> dict[Path, tuple[float, ...]]:
    """What its files look like; when they were read last is no change of theirs."""
    found = {path: path.stat() for path in folder.iterdir()}
    return {path: (s.st_ino, s.st_mode, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for path, s in found.items()}


def test_one_that_has_stopped(state: Path, owner: Owner) -> None:
    with StateLock(state):
        write_controller_id(state, "me")
    before = looks(state)
    assert owner_state(owner, HOST) is OwnerState.STOPPED
    assert looks(state) == before


def test_one_that_lost_its_folder_takes_it_again(state: Path, owner: Owner) -> None:
    with StateLock(state) as lock:
        write_controller_id(state, "me")
        assert not lock.is_lost()
        shutil.rmtree(state)
        assert owner_state(owner, HOST) is OwnerState.ORPHANED
        assert lock.is_lost()
        lock.renew()
        write_controller_id(state, "me")
        assert owner_state(owner, HOST) is OwnerState.LIVE
        assert not lock.is_lost()
        with pytest.raises(StateFolderInUse):
            StateLock(state).__enter__()
    assert not state.exists()  # as somebody wanted it
    assert owner_state(owner, HOST) is OwnerState.ORPHANED


def test_a_folder_that_was_made_again_stays_for_what_is_in_it(state: Path, owner: Owner) -> None:
    with StateLock(state) as lock:
        shutil.rmtree(state)
        lock.renew()
        write_controller_id(state, "me")
        (state / "manifests").mkdir()
    assert owner_state(owner, HOST) is OwnerState.STOPPED


def test_one_that_lost_its_folder_to_another(state: Path) -> None:
    with StateLock(state) as lock:
        shutil.rmtree(state)
        with StateLock(state, "the other"):
            assert lock.is_lost()
            with pytest.raises(StateFolderInUse, match="in use by the other"):
                lock.renew()


def test_a_torn_id_is_no_orphan(state: Path, owner: Owner) -> None:
    state.mkdir()
    (state / "controller-id").write_bytes(b"")
    assert owner_state(owner, HOST) is OwnerState.STOPPED
    write_controller_id(state, "me")
    assert read_controller_id(state) == "me"


def test_one_whose_folder_is_gone(state: Path, owner: Owner) -> None:
    assert owner_state(owner, HOST) is OwnerState.ORPHANED
    state.mkdir()
    assert owner_state(owner, HOST) is OwnerState.ORPHANED
    state.rmdir()
    state.write_text("a file now")
    assert owner_state(owner, HOST) is OwnerState.ORPHANED


def test_one_whose_folder_another_has(state: Path, owner: Owner) -> None:
    with StateLock(state):
        write_controller_id(state, "another")
        assert owner_state(owner, HOST) is OwnerState.STOPPED
        assert owner_state(Owner("another", str(state), HOST), HOST) is OwnerState.LIVE


def test_what_cannot_be_seen_is_unknown(state: Path, owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    assert owner_state(owner, "other machine") is OwnerState.UNKNOWN
    assert owner_state(Owner("me"), HOST) is OwnerState.UNKNOWN

    def refuse(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    assert owner_state(owner, HOST) is OwnerState.UNKNOWN


def test_one_that_may_not_be_written_is_told_with_what_helps(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")  # root may write anywhere

    monkeypatch.setattr(Path, "open", refuse)
    told = f"{state}: Permission denied; user {os.geteuid()} has to be able to write there"
    with pytest.raises(StateFolderError, match=re.escape(told)), StateLock(state):
        pass


def test_a_second_one_is_refused_and_told_of_the_first(state: Path) -> None:
    with StateLock(state):
        with pytest.raises(
            StateFolderError, match=rf"in use by process {os.getpid()}; end it, or give this one its own"
        ):
            StateLock(state).__enter__()
        with pytest.raises(StateFolderError, match="in use by process"):  # it has not wiped the name
            StateLock(state).__enter__()
    with StateLock(state, "a cleaner"), pytest.raises(StateFolderError, match="in use by a cleaner"):
        StateLock(state).__enter__()


def test_looking_does_not_hinder_a_start(state: Path, owner: Owner) -> None:
    """Somebody looks at the very moment: the start tries again."""
    import fcntl

    state.mkdir()
    (state / "lock").touch()
    looks = os.open(state / "lock", os.O_RDONLY)
    fcntl.flock(looks, fcntl.LOCK_SH)
    original, tries = fcntl.flock, []

    def flock(file: object, operation: int) -> None:
        tries.append(operation)
        if len(tries) == 3:
            os.close(looks)
        original(file, operation)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fcntl, "flock", flock)
        with StateLock(state):
            assert len(tries) == 3


def test_the_host_is_more_than_its_machine_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Containers of one image may have the same machine id."""
    machine = tmp_path / "machine-id"
    here_and_now = partial(host_identity, tmp_path, machine, tmp_path)
    without = here_and_now()
    machine.write_text("0123456789abcdef\n")
    here = here_and_now()
    assert here == here_and_now() != without
    assert len(here) == 12
    monkeypatch.setattr("platform.node", lambda: "another")
    assert here_and_now() != here


CONTAINER = "a1" * 32
MOUNTS = """72 48 0:39 / / rw - overlay overlay rw,lowerdir=/a,upperdir=/layers/{layer}/diff
90 72 254:0 /containers/{container}/hostname /etc/hostname rw - ext4 /dev/vda rw
91 72 254:0 /volumes/{volume}/_data /var/lib/e2e rw - ext4 /dev/vda rw
"""


def test_in_a_container_it_is_what_the_state_folder_is_mounted_from(tmp_path: Path) -> None:
    def identity(state: str = "/var/lib/e2e", **parts: str) -> str:
        process = tmp_path / "proc/self"
        process.mkdir(parents=True, exist_ok=True)
        given = {"container": CONTAINER, "volume": "mine", "layer": "one", **parts}
        (process / "mountinfo").write_text(MOUNTS.format(**given))
        return host_identity(Path(state), tmp_path / "machine-id", tmp_path)

    assert identity() == identity(container="b2" * 32, layer="two")
    assert identity(volume="yours") != identity()
    assert identity("/elsewhere") == identity("/elsewhere", volume="yours")
    assert identity("/elsewhere", layer="two") != identity("/elsewhere")


def test_folders_of_one_container_may_be_mounted_from_different_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("e2e_controller.state_folder.host_identity", lambda state: f"of {state}")
    write_controller_id(tmp_path, "me")
    assert owner_state(Owner("me", str(tmp_path), f"of {tmp_path}"), "of elsewhere") is OwnerState.STOPPED
    assert owner_state(Owner("me", str(tmp_path), "of a volume"), "of elsewhere") is OwnerState.UNKNOWN
