"""A root file system from Debian's packages: unpacked, never installed, so that no root is needed for it."""

import re
import shutil
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path

from setup import debian
from setup.tries import patiently

SHELL = "busybox-static"
COMMAND_TIMEOUT = 300
DOWNLOAD_TIMEOUT = 900
MERGED = ("bin", "sbin", "lib", "lib64")
# What packages need for their installation. Nothing here installs itself: they are unpacked.
INSTALLERS = (
    "adduser", "debconf", "dpkg", "gcc-*-base", "init-system-helpers", "libaudit*", "libpam*", "libperl*",
    "libsemanage*", "libsepol*", "passwd", "perl", "perl-*", "*-perl", "tar", "usrmerge",
)  # fmt: skip
STRIPPED = (
    "etc/default", "etc/init.d", "etc/logrotate.d", "usr/lib/*/gconv", "usr/lib/systemd",
    "usr/share/bash-completion", "usr/share/bug", "usr/share/doc", "usr/share/doc-base", "usr/share/info",
    "usr/share/lintian", "usr/share/locale", "usr/share/man",
)  # fmt: skip


class RootfsError(Exception):
    """The root file system could not be made; the message carries the evidence."""


def unpack(packages: Sequence[str], root: Path, downloads: Path) -> dict[str, str]:
    """Unpack packages and all they depend on below `root`; return each one's version."""
    for name in MERGED:
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    # A list that is old names files that the archive no longer has: then fetch it, and look again.
    try:
        versions = _download(packages, downloads)
    except debian.PackageError:
        if not debian.is_root():
            raise
        debian.update(always=True)
        versions = patiently(lambda: _download(packages, downloads), debian.PackageError)
    for archive in sorted(downloads.glob("*.deb")):
        _unpack_one(archive, root)
    for pattern in STRIPPED:
        for path in root.glob(pattern):
            shutil.rmtree(path)
    return versions


def _download(packages: Sequence[str], downloads: Path) -> dict[str, str]:
    if not debian.has_apt() or shutil.which("dpkg-deb") is None:
        raise debian.PackageError("this image is built from Debian's packages: it needs a machine with apt")
    debian.update()
    versions = _with_dependencies(packages)
    exact = [f"{name}={version}" for name, version in versions.items()]
    debian.apt_get(["download", *exact], DOWNLOAD_TIMEOUT, downloads)
    return versions


def _with_dependencies(packages: Sequence[str]) -> dict[str, str]:
    """Let apt resolve the packages as if nothing were installed: name to version."""
    nothing = ["Dir::State::status=/dev/null", "Dir::Cache::pkgcache=", "Dir::Cache::srcpkgcache="]
    options = [word for value in nothing for word in ("-o", value)]
    simulate = ["--simulate", *options, "install", "--no-install-recommends", *packages]
    plan = debian.apt_get(simulate, COMMAND_TIMEOUT)
    found = re.findall(r"^Inst (\S+) \((\S+) ", plan, re.MULTILINE)
    return {name: version for name, version in found if name in packages or not _is_installer(name)}


def _is_installer(package: str) -> bool:
    return any(fnmatch(package, pattern) for pattern in INSTALLERS)


def _unpack_one(archive: Path, root: Path) -> None:
    # dpkg-deb's own extraction would replace the links of the merged /usr by folders.
    read = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(archive)], stdout=subprocess.PIPE)
    write = [
        "tar",
        "--extract",
        "--preserve-permissions",
        "--keep-directory-symlink",
        "--directory",
        str(root),
    ]
    with read:
        written = subprocess.run(
            write, stdin=read.stdout, capture_output=True, text=True, timeout=COMMAND_TIMEOUT
        )
    if read.returncode or written.returncode:
        raise RootfsError(f"{archive.name} cannot be unpacked: {written.stderr.strip()}")
    _note(archive, root)


def _note(archive: Path, root: Path) -> None:
    """Says in the image that it has the package, where scanners of images without a package manager look."""
    fields = subprocess.run(
        ["dpkg-deb", "--field", str(archive)],
        capture_output=True,
        text=True,
        check=True,
        timeout=COMMAND_TIMEOUT,
    ).stdout
    notes = root / "var/lib/dpkg/status.d"
    notes.mkdir(parents=True, exist_ok=True)
    (notes / archive.name.partition("_")[0]).write_text(fields)


def link_applets(root: Path) -> None:
    """Give the root file system a shell and the small tools: links to busybox where a name is free."""
    listed = subprocess.run(
        [root / "bin" / "busybox", "--list-full"],
        capture_output=True,
        text=True,
        check=True,
        timeout=COMMAND_TIMEOUT,
    )
    for applet in listed.stdout.split():
        link = root / applet
        if not link.exists() and not link.is_symlink():
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to("/bin/busybox")


def lay_over(source: Path, root: Path) -> None:
    """Copy a folder's content over the root file system."""
    if source.is_dir():
        shutil.copytree(source, root, dirs_exist_ok=True, symlinks=True)


def finish(script: Path, root: Path) -> None:
    """Run a recipe's last step in the root file system's folder."""
    if not script.exists():
        return
    finished = subprocess.run(
        ["bash", "-eu", str(script)],
        cwd=root,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=COMMAND_TIMEOUT,
    )
    if finished.returncode:
        raise RootfsError(f"{script} ended with {finished.returncode}: {finished.stderr.strip()}")


def pack(root: Path, archive: Path, owners: Mapping[str, int]) -> None:
    """Write the root file system to a tar file in which all belongs to root but for `owners`' folders."""
    (root / "tmp").mkdir(exist_ok=True)
    (root / "tmp").chmod(0o1777)
    for path in owners:
        (root / path.lstrip("/")).mkdir(parents=True, exist_ok=True)

    def owned(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = next(
            (user for path, user in owners.items() if _is_below(member.name, path.lstrip("/"))), 0
        )
        member.uname = member.gname = ""
        return member

    with tarfile.open(archive, "w") as file:
        for entry in sorted(root.iterdir()):
            file.add(entry, entry.name, filter=owned)


def _is_below(name: str, folder: str) -> bool:
    return name == folder or name.startswith(f"{folder}/")
