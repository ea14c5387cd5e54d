"""Root file systems out of Debian's packages, kept as tar files: the ground of every image that is not pulled."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from . import cache, commands, mounts, packages, versions
from .errors import MissingPartError
from .progress import step

NOT_NEEDED = (
    "usr/share/doc",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/man",
    "var/cache/apt",
    "var/cache/debconf",
    "var/lib/apt/lists",
    "var/log",
)
"""Folders whose contents no container needs."""

RECIPE = "1"
"""Part of the cache key; another number makes every root anew."""


def tarred(name: str, include: Sequence[str]) -> Path:
    """The path of a tar file with a minimal Debian and the packages named.

    Raises:
        MissingPartError: debootstrap is missing, or this user is not root.
        ClusterToolError: debootstrap failed, for instance because no package could be fetched.
    """
    made_of = cache.key(RECIPE, versions.DEBIAN, *sorted(include), *NOT_NEEDED)
    target = cache.root() / "roots" / f"{name}-{versions.DEBIAN}-{made_of}.tar"
    return cache.build_once(target, lambda draft: _make(draft, name, include))


def unpack(tar: Path, folder: Path) -> None:
    """Unpacks a root with its owners and modes; only root can."""
    folder.mkdir(parents=True)
    commands.run(["tar", "-C", folder, "--numeric-owner", "--same-permissions", "-xf", tar])


def pack(folder: Path, tar: Path) -> None:
    """Packs a root with its owners and modes."""
    commands.run(["tar", "-C", folder, "--numeric-owner", "--one-file-system", "-cf", tar, "."])


def _make(draft: Path, name: str, include: Sequence[str]) -> None:
    if os.geteuid() != 0:
        raise MissingPartError("the right to make a Debian root (debootstrap needs root)", "run this as root")
    packages.need("debootstrap")
    folder = draft.with_suffix(".root")
    _discard(folder)
    downloads = cache.folder("debs")
    options = ["--variant=minbase", f"--cache-dir={downloads}", f"--include={','.join(include)}"]
    try:
        with step(f"debootstrap the root of the {name} image", "about a minute"):
            commands.run(["debootstrap", *options, versions.DEBIAN, folder])
        slim(folder)
        pack(folder, draft)
    finally:
        _discard(folder)


def _discard(folder: Path) -> None:
    """Removes a root, also one that a killed debootstrap left with its mounts."""
    mounts.release(folder)
    cache.remove(folder)


def slim(folder: Path) -> None:
    """Empties what no container needs; the folders stay, since packages expect them."""
    for name in NOT_NEEDED:
        path = folder / name
        for child in path.iterdir() if path.is_dir() else ():
            cache.remove(child)
